//! A refusal: what went wrong, how we know, what helps. The injector makes them, the plugin prints them.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// What kind of failure it is, as it travels in a failure message. The numbers are part of the protocol: never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u16)]
pub enum Code {
    /// Something that has no kind of its own.
    Other = 1,
    /// The request makes no sense: an unknown command, too many arguments.
    Usage = 2,
    /// No process of that pid, or it ended before anything was asked of it.
    NoSuchProcess = 3,
    /// The process is there and is no JVM, or the container runs none.
    NoJvm = 4,
    /// Several JVMs and no pid given.
    SeveralJvms = 5,
    /// The target ended while it was working for us.
    TargetEnded = 6,
    /// The injector's ids or capabilities do not fit the target's; the evidence names both.
    WrongIdentity = 7,
    /// A security module (AppArmor, SELinux) stands between two fitting identities.
    Denied = 8,
    /// The JVM cannot be attached to in its present state; it was not signalled.
    NotAttachable = 9,
    /// The JVM did not answer the trigger within the limit.
    NoAnswer = 10,
    /// What listens on the JVM's socket is another process.
    WrongPeer = 11,
    /// The JVM executed the command and reported a failure.
    JvmFailed = 12,
    /// Another job is running.
    Busy = 13,
    /// No place where the data may go: memory-backed, too little free, or under an ephemeral-storage limit.
    NoSpace = 14,
    /// The transfer between the two sides broke: a block was refused, or the peer is silent. Another connection may do better.
    Transfer = 15,
    /// The peer speaks another version of the protocol.
    Version = 16,
    /// The user or the client ended it.
    Cancelled = 17,
    /// A limit on time ran out.
    TimedOut = 18,
    /// What the client comes for is not there any more: the dump that it would go on with, or the injector itself behind the
    /// socket of its container.
    Gone = 19,
    /// The target's /tmp is missing or takes no file, and HotSpot meets nowhere else; it was not signalled.
    TmpNotWritable = 23,
}

impl Code {
    /// Every code, in the order of its numbers.
    pub const ALL: [Code; 20] = [
        Code::Other,
        Code::Usage,
        Code::NoSuchProcess,
        Code::NoJvm,
        Code::SeveralJvms,
        Code::TargetEnded,
        Code::WrongIdentity,
        Code::Denied,
        Code::NotAttachable,
        Code::NoAnswer,
        Code::WrongPeer,
        Code::JvmFailed,
        Code::Busy,
        Code::NoSpace,
        Code::Transfer,
        Code::Version,
        Code::Cancelled,
        Code::TimedOut,
        Code::Gone,
        Code::TmpNotWritable,
    ];

    /// The code of that number. A number that a newer injector may send is [`Code::Other`]: its text still counts.
    pub fn from_number(number: u16) -> Code {
        Code::ALL.into_iter().find(|code| *code as u16 == number).unwrap_or(Code::Other)
    }

    /// The exit code of `kubectl jattach` for it (README, "Exit codes").
    pub fn exit_code(self) -> u8 {
        match self {
            Code::Other | Code::NoSpace | Code::TimedOut => 1,
            Code::Usage | Code::SeveralJvms => 2,
            Code::NoSuchProcess | Code::NoJvm | Code::TargetEnded => 3,
            Code::Version => 5,
            Code::WrongIdentity
            | Code::Denied
            | Code::NotAttachable
            | Code::NoAnswer
            | Code::WrongPeer
            | Code::TmpNotWritable => 6,
            Code::JvmFailed => 7,
            Code::Transfer | Code::Gone => 8,
            Code::Busy => 9,
            Code::Cancelled => 130,
        }
    }
}

/// A failure as a person reads it: cause, evidence, remedy, in that order.
///
/// In a box, because most of what can be called can fail: the injector would be larger by all the code that hands three texts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(Box<Parts>);

/// What there is in a [`Failure`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// What kind it is.
    pub code: Code,
    /// One sentence: what went wrong.
    pub cause: String,
    /// What was seen that shows it: ids, paths, an errno, the JVM's own words. May be empty.
    pub evidence: String,
    /// What the user can do: a command, a setting. May be empty.
    pub remedy: String,
    /// With [`Code::WrongIdentity`]: the identity that would fit, so that the plugin can make a container that has it.
    pub identity: Option<Identity>,
}

/// Whom a process runs as, as far as another process's access to it depends on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub uid: u32,
    /// The group. It must fit as exactly as the user.
    pub gid: u32,
    /// The permitted capabilities, a bit each (CapPrm of /proc/PID/status).
    pub capabilities: u64,
}

// Never inlined: the injector makes a failure in some seventy places, and would be a kilobyte larger.
impl Failure {
    /// A failure with a cause alone.
    #[inline(never)]
    pub fn new(code: Code, cause: impl Into<String>) -> Failure {
        let cause = cause.into();
        Failure(Box::new(Parts { code, cause, evidence: String::new(), remedy: String::new(), identity: None }))
    }

    /// Its parts, to be taken one by one.
    pub fn into_parts(self) -> Parts {
        *self.0
    }

    /// The same with its evidence.
    #[must_use]
    #[inline(never)]
    pub fn evidence(mut self, evidence: impl Into<String>) -> Failure {
        self.evidence = evidence.into();
        self
    }

    /// The same with its remedy.
    #[must_use]
    #[inline(never)]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Failure {
        self.remedy = remedy.into();
        self
    }

    /// The same with the identity that would fit.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Failure {
        self.identity = Some(identity);
        self
    }
}

impl Deref for Failure {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl DerefMut for Failure {
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.0
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        for (label, text) in [("evidence", &self.evidence), ("remedy", &self.remedy)] {
            if !text.is_empty() {
                write!(f, "\n  {label}: {text}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back_as_its_code() {
        for code in Code::ALL {
            assert_eq!(Code::from_number(code as u16), code);
        }
    }

    #[test]
    fn a_number_from_a_newer_injector_is_other() {
        assert_eq!(Code::from_number(4711), Code::Other);
    }

    #[test]
    fn a_failure_reads_cause_evidence_remedy() {
        let failure =
            Failure::new(Code::NoJvm, "no JVM").evidence("pid 1 is nginx").remedy("name another container with -c");
        assert_eq!(failure.to_string(), "no JVM\n  evidence: pid 1 is nginx\n  remedy: name another container with -c");
    }
}
