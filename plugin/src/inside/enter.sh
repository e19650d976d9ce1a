# Run by `sh -c` in the target's container, $1 its id. Reads a length, a hash and so many bytes, and becomes the program
# that they are. All it says is short: nobody reads on if the client has gone, and a write must not wait for that. Whatever
# ends it, and its client's end does, it leaves nothing.
set -C
umask 077
for tool in chmod head mkdir rm rmdir sha256sum uname; do
    command -v "$tool" >/dev/null || { echo "lacks $tool"; exit 1; }
done
tidy() {
    rm -f injector
    cd / && rmdir "$new"
}
for dir in /tmp /var/tmp /dev/shm "$HOME"; do
    # What one has left that was killed: a name ends with the process id.
    for old in "$dir/.jattach-in-$1"-*; do
        if [ -O "$old" ] && ! [ -h "$old" ] && ! [ -e "/proc/${old##*-}" ] && cd "$old"; then
            new=$old && tidy
        fi
    done
    # A directory of our own: nothing that was put there before is followed or run. Where dir is not sticky (an emptyDir),
    # others may put something in its place: what we are in has to be ours, and nothing is found by its name again.
    new=$dir/.jattach-in-$1-$$
    mkdir -m 700 "$new" && cd "$new" && [ -O . ] && chmod 700 . || continue
    trap tidy EXIT
    # An empty file is a program that does nothing, but for where nothing may be executed.
    found=
    : >injector && chmod 700 injector && /proc/self/cwd/injector && found=$new
    rm -f injector
    [ "$found" ] && break
    tidy
    trap - EXIT
done
[ "$found" ] || { echo nowhere; exit 1; }
trap 'exit 1' HUP INT TERM
echo "at $(uname -m) $new"
read -r length hash && head -c "$length" >injector || exit 1
case $(sha256sum injector) in
"$hash "*) ;;
*) echo damaged; exit 1 ;;
esac
chmod 700 injector && echo whole && read -r go && [ "$go" = run ] || exit 1
# bash forgets the trap with an exec that fails, unless it is told to go on. And it would look the directory up once more by
# its name, where another user may have put one of his own meanwhile.
shopt -s execfail 2>/dev/null
exec /proc/self/cwd/injector inside
exit 1
