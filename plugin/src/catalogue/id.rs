//! The kinds of failure: their numbers, their exit codes, and what each is called.

use crate::error::Exit;

macro_rules! ids {
    ($($name:ident $number:literal $exit:ident $title:literal;)*) => {
        /// What kind of failure it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub(crate) enum Id {
            $(#[doc = $title] $name = $number,)*
        }

        impl Id {
            /// Every kind, in the order of the numbers.
            pub(crate) const ALL: [Id; [$($number,)*].len()] = [$(Id::$name,)*];

            /// What the command ends with.
            pub(crate) fn exit(self) -> Exit {
                match self {
                    $(Id::$name => Exit::$exit,)*
                }
            }

            /// What goes wrong, as a heading.
            pub(crate) fn title(self) -> &'static str {
                match self {
                    $(Id::$name => $title,)*
                }
            }
        }
    };
}

ids! {
    Other 1 Other "Something that has no kind of its own";
    Usage 2 Usage "The command line makes no sense";
    NoSuchProcess 3 Target "There is no such process";
    NoJvm 4 Target "No JVM runs there";
    SeveralJvms 5 Usage "Several JVMs run there";
    TargetEnded 6 Target "The target ended";
    WrongIdentity 7 Attach "The injector runs as another user than the JVM";
    Denied 8 Attach "A security module stands between the injector and the JVM";
    NotAttachable 9 Attach "The JVM cannot be attached to as it is";
    NoAnswer 10 Attach "The JVM does not answer";
    WrongPeer 11 Attach "Another process answers on the JVM's socket";
    JvmFailed 12 Jvm "The JVM reports a failure";
    Busy 13 Busy "Another job is running";
    NoSpace 14 Other "There is no room for the data in the pod";
    Transfer 15 Transfer "What arrived is not whole";
    Version 16 Injector "The injector is of another version";
    Interrupted 17 Interrupted "It was interrupted";
    TimedOut 18 Other "A limit on time ran out";
    Gone 19 Transfer "What was to be gone on with is gone";
    TmpNotWritable 23 Attach "The target's /tmp cannot be written to";

    NoPermission 101 Refused "A permission is missing";
    NoLogin 102 Refused "The API server does not know who asks";
    NotFound 103 Target "There is no such object";
    NoSuchResource 104 Other "The cluster is too old";
    Quota 105 Refused "A quota is used up";
    AdmissionRule 106 Refused "An admission rule of the cluster refuses it";
    Webhook 107 Refused "An admission webhook refuses the injector's container";
    PodSecurity 108 Refused "Pod Security refuses the injector's container";
    OlderContainer 109 Refused "An older debug container keeps the pod from taking another one";
    StaticPod 110 Target "A static pod takes no ephemeral containers";
    InvalidContainer 111 Injector "The pod cannot take the injector's container";
    NoContainerAnyMore 112 Target "The pod has no such container any more";
    Overloaded 113 Other "The API server is overloaded or not ready";
    ServerFailed 114 Other "The API server failed";
    ServerRefused 115 Other "The API server refuses the request";
    RequestTimedOut 116 Other "The API server does not answer in time";
    NoWebSockets 117 Other "The way to the API server takes no WebSockets";
    NoExec 118 Other "The node offers no exec";

    NoCredentials 131 Other "There are no credentials for the API server";
    ServerCertificate 132 Other "The API server's certificate is not trusted";
    ClientCertificate 133 Refused "The API server does not accept the client certificate";
    Handshake 134 Other "The API server ends the TLS handshake";
    UnknownHost 135 Other "The API server's name is not known";
    Proxy 136 Other "The proxy does not lead to the API server";
    NoApiServer 137 Other "What answers is no API server";
    Unreachable 138 Other "The API server cannot be reached";
    Kubeconfig 139 Other "The kubeconfig cannot be used";
    Config 140 Other "The plugin's configuration file cannot be used";

    ImagePull 151 Injector "The node cannot pull the injector's image";
    ImageNeverPull 152 Injector "The injector's image is not on the node, and must not be pulled";
    ImageInvalid 153 Injector "The injector's image is none";
    ContainerConfig 154 Injector "The node refuses the container's configuration";
    ContainerStart 155 Injector "The node cannot start the injector's container";
    InjectorEndedAtOnce 156 Injector "The injector ended as soon as it had started";
    InjectorEnded 157 Injector "The injector has ended";
    StartTimedOut 158 Injector "The injector did not start in time";
    MoreThanTarget 159 Attach "The injector would need more than the target's container has";
    NotInside 160 Injector "The injector cannot be put into the target's container";
    Profile 161 Attach "The profile does not fit the target";
    Shelter 162 Injector "The tmpfs over the target's /tmp cannot be had, or may be left";

    NoTarget 170 Target "There is nothing to attach to";
    PodDeleted 171 Target "The pod is being deleted";
    Windows 172 Target "The pod runs on Windows";
    PodEnded 173 Target "The pod has ended";
    PodNotRunning 174 Target "The pod does not run yet";
    Crashing 175 Target "The container is crashing";
    ContainerNotRunning 176 Target "The container does not run";
    NoSuchContainer 177 Target "The pod has no such container";

    NoRoomHere 190 Other "There is too little room on this machine";
    CannotWrite 191 Other "A file of this machine cannot be written";
    CannotRead 192 Other "A file of this machine cannot be read";
    FileExists 193 Usage "The file exists";
    TooLongPause 194 Other "The pause may be too long for the pod's probes";
    NotCarried 195 Other "The plugin carries no injector";
    NoHeapDump 196 Other "The file is no heap dump";
}
