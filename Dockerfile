# The injector's image: one static binary and /tmp, nothing else.
#
#   docker build .                       builds the binary in a container, then the image
#   cargo xtask image                    writes target/images/injector.tar without a daemon, and target/rootfs
#   docker build --target prebuilt .     puts the binary of target/rootfs into the image
#
# buildah takes the same arguments (`buildah build`). With --isolation chroot it also needs --ulimit nofile=16384:16384,
# because zig has hundreds of files open when it compiles musl. A test of xtask compares this file with what
# `cargo xtask image` writes: change both.

# How the image runs. Both ways to the image start from here.
FROM scratch AS config
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="kubectl-jattach injector" \
      org.opencontainers.image.description="attaches to a JVM from an ephemeral container" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="The kubectl-jattach authors" \
      org.opencontainers.image.source="https://github.com/kubectl-jattach/kubectl-jattach" \
      org.opencontainers.image.url="https://github.com/kubectl-jattach/kubectl-jattach"
# Docker would add a PATH of its own.
ENV PATH=/
# A number, because the kubelet cannot check runAsNonRoot against a name.
USER 65532:65532
ENTRYPOINT ["/injector"]

# A root filesystem that is already there. Its parent is copied, because only so does /tmp keep its mode of 1777.
FROM config AS prebuilt
ARG TARGETARCH
COPY target/rootfs/${TARGETARCH} /

# The binary from source, by the same command as outside.
FROM docker.io/library/rust:1.95.0-slim-trixie AS build
# The toolchain as it is: rust-toolchain.toml would have rustup fetch rustfmt and clippy, too.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv
WORKDIR /src
COPY . .
RUN cargo xtask --yes image && mv "target/rootfs/$(dpkg --print-architecture)" /rootfs

FROM config
COPY --from=build /rootfs /
