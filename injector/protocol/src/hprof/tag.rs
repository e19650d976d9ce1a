//! The one-byte codes of the format: records, sub-records, types.

/// A top-level record, as heapDumper.cpp's `hprofTag` numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Tag {
    Utf8 = 0x01,
    LoadClass = 0x02,
    UnloadClass = 0x03,
    Frame = 0x04,
    Trace = 0x05,
    AllocSites = 0x06,
    HeapSummary = 0x07,
    StartThread = 0x0a,
    EndThread = 0x0b,
    HeapDump = 0x0c,
    CpuSamples = 0x0d,
    ControlSettings = 0x0e,
    HeapDumpSegment = 0x1c,
    HeapDumpEnd = 0x2c,
}

impl Tag {
    /// The tag of this code, if the format has one.
    #[must_use]
    pub fn of(code: u8) -> Option<Tag> {
        Some(match code {
            0x01 => Tag::Utf8,
            0x02 => Tag::LoadClass,
            0x03 => Tag::UnloadClass,
            0x04 => Tag::Frame,
            0x05 => Tag::Trace,
            0x06 => Tag::AllocSites,
            0x07 => Tag::HeapSummary,
            0x0a => Tag::StartThread,
            0x0b => Tag::EndThread,
            0x0c => Tag::HeapDump,
            0x0d => Tag::CpuSamples,
            0x0e => Tag::ControlSettings,
            0x1c => Tag::HeapDumpSegment,
            0x2c => Tag::HeapDumpEnd,
            _ => return None,
        })
    }

    /// The format's own name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Tag::Utf8 => "UTF8",
            Tag::LoadClass => "LOAD_CLASS",
            Tag::UnloadClass => "UNLOAD_CLASS",
            Tag::Frame => "FRAME",
            Tag::Trace => "TRACE",
            Tag::AllocSites => "ALLOC_SITES",
            Tag::HeapSummary => "HEAP_SUMMARY",
            Tag::StartThread => "START_THREAD",
            Tag::EndThread => "END_THREAD",
            Tag::HeapDump => "HEAP_DUMP",
            Tag::CpuSamples => "CPU_SAMPLES",
            Tag::ControlSettings => "CONTROL_SETTINGS",
            Tag::HeapDumpSegment => "HEAP_DUMP_SEGMENT",
            Tag::HeapDumpEnd => "HEAP_DUMP_END",
        }
    }
}

/// Why an object is a root of the heap; the codes are those of the sub-records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RootKind {
    Unknown = 0xff,
    JniGlobal = 0x01,
    JniLocal = 0x02,
    JavaFrame = 0x03,
    NativeStack = 0x04,
    StickyClass = 0x05,
    ThreadBlock = 0x06,
    MonitorUsed = 0x07,
    ThreadObject = 0x08,
}

/// A sub-record of a heap record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sub {
    Root(RootKind),
    Class,
    Instance,
    ObjectArray,
    PrimitiveArray,
}

impl Sub {
    /// The sub-record of this code, if the format has one.
    #[inline]
    #[must_use]
    pub fn of(code: u8) -> Option<Sub> {
        Some(match code {
            0x21 => Sub::Instance,
            0x22 => Sub::ObjectArray,
            0x23 => Sub::PrimitiveArray,
            0x20 => Sub::Class,
            0x01 => Sub::Root(RootKind::JniGlobal),
            0x02 => Sub::Root(RootKind::JniLocal),
            0x03 => Sub::Root(RootKind::JavaFrame),
            0x04 => Sub::Root(RootKind::NativeStack),
            0x05 => Sub::Root(RootKind::StickyClass),
            0x06 => Sub::Root(RootKind::ThreadBlock),
            0x07 => Sub::Root(RootKind::MonitorUsed),
            0x08 => Sub::Root(RootKind::ThreadObject),
            0xff => Sub::Root(RootKind::Unknown),
            _ => return None,
        })
    }

    /// The format's own name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Sub::Class => "CLASS_DUMP",
            Sub::Instance => "INSTANCE_DUMP",
            Sub::ObjectArray => "OBJECT_ARRAY_DUMP",
            Sub::PrimitiveArray => "PRIMITIVE_ARRAY_DUMP",
            Sub::Root(kind) => match kind {
                RootKind::Unknown => "ROOT_UNKNOWN",
                RootKind::JniGlobal => "ROOT_JNI_GLOBAL",
                RootKind::JniLocal => "ROOT_JNI_LOCAL",
                RootKind::JavaFrame => "ROOT_JAVA_FRAME",
                RootKind::NativeStack => "ROOT_NATIVE_STACK",
                RootKind::StickyClass => "ROOT_STICKY_CLASS",
                RootKind::ThreadBlock => "ROOT_THREAD_BLOCK",
                RootKind::MonitorUsed => "ROOT_MONITOR_USED",
                RootKind::ThreadObject => "ROOT_THREAD_OBJECT",
            },
        }
    }
}

/// The type of a field or of an array's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Type {
    Object = 2,
    Boolean = 4,
    Char = 5,
    Float = 6,
    Double = 7,
    Byte = 8,
    Short = 9,
    Int = 10,
    Long = 11,
}

impl Type {
    /// The type of this code, if the format has one.
    #[inline]
    #[must_use]
    pub fn of(code: u8) -> Option<Type> {
        Some(match code {
            2 => Type::Object,
            4 => Type::Boolean,
            5 => Type::Char,
            6 => Type::Float,
            7 => Type::Double,
            8 => Type::Byte,
            9 => Type::Short,
            10 => Type::Int,
            11 => Type::Long,
            _ => return None,
        })
    }

    /// Bytes of one value; an object's are those of an identifier.
    #[inline]
    #[must_use]
    pub fn size(self, ids: super::IdSize) -> u64 {
        match self {
            Type::Object => ids.bytes(),
            Type::Boolean | Type::Byte => 1,
            Type::Char | Type::Short => 2,
            Type::Float | Type::Int => 4,
            Type::Double | Type::Long => 8,
        }
    }
}
