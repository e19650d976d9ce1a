//! What the hostile injector does, by the name that the tests give it: the program is `bin/hostile`, in an image of its own.

use clap::ValueEnum;

/// The variable in the injector's container that holds the [`Mode`]'s name; or, in words parted by blanks, `POD=NAME` for each
/// pod.
pub const MODE: &str = "HOSTILE_MODE";

/// What a hostile text begins with that is to be seen before what comes after it.
pub const BEGUN: &str = "begun";

/// What would act on a terminal: a new title, a cleared screen, the one-byte form of the same, a text that reads backwards.
pub const ESCAPES: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}\r";

/// A name that is no name.
pub const PATH: &str = "../../../../tmp/owned";

/// What a pod says in order that it looks like another one's failure.
pub const FORGED: &str = "\n[pod/b] error[JAT-101]: forged";

/// One way of being no injector. What they say before the deed is what an injector says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Prints what is no frame.
    Garbage,
    /// Ends without a word.
    Nothing,
    /// Answers before it has said hello.
    NoHello,
    /// Answers, and speaks another version of the protocol from its second session on, as after a change of the plugin.
    Outdated,
    /// Answers before it was asked.
    Early,
    /// Says hello, and never anything again.
    Silence,
    /// Heartbeats for ever, and no answer.
    Heartbeats,
    /// Says for ever how far it is, as fast as it can.
    Progress,
    /// Prints for ever.
    Output,
    /// Says for ever that another job comes first, each time in other words.
    Jobs,
    /// Lists JVMs for ever.
    List,
    /// JVMs with names that would act on a terminal or lead out of a directory.
    Names,
    /// A frame that says that it has four gigabytes.
    FrameLength,
    /// A string that says so, in a frame that is right.
    StringLength,
    /// A message with bytes left over.
    Leftover,
    /// A kind of message that there is not.
    Kind,
    /// A frame that is cut in its middle, and the end of the stream.
    Cut,
    /// Another request's answer.
    OtherRequest,
    /// A text that has another length than it says.
    TextLength,
    /// A text with another hash.
    TextHash,
    /// A piece of a dump in a text.
    BlockInText,
    /// A failure of many lines and control characters, as long as a frame may be.
    LongFailure,
    /// An identity that would fit: root with every capability.
    Greedy,
    /// Each time another identity that would fit.
    Restless,
    /// A dump is said to be as large as numbers go.
    Huge,
    /// How far a dump is, in numbers that cannot be, for ever.
    DumpProgress,
    /// A block of a dump that unpacks to a gigabyte.
    Bomb,
    /// A block that unpacks to more than it says.
    BlockLength,
    /// A block for an offset far away.
    Offset,
    /// A block in a stream that a dump of one stream has not.
    SecondStream,
    /// A dump that has another length than it says.
    DumpLength,
    /// A dump with another hash.
    DumpHash,
    /// A dump whose last record is missing.
    Unended,
    /// Lengths of heap records that nobody waits for, for ever.
    Patches,
    /// A dump without end.
    Endless,
    /// A block, and the end of the stream; the next time it is at another job.
    OtherJob,
}
