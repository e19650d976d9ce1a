//! Counts instances and their bytes per class: a visitor as a later command will need it.

use std::collections::HashMap;

use jattach_protocol::hprof::{Instance, LoadClass, PrimitiveArray, Record, Root, RootKind, Type, Visitor};

#[derive(Default)]
pub(crate) struct Census {
    texts: HashMap<u64, Vec<u8>>,
    /// The name whose text is just arriving.
    arriving: Option<u64>,
    class_names: HashMap<u64, u64>,
    /// Instances and bytes of their fields, by class.
    instances: HashMap<u64, (u64, u64)>,
    pub(crate) long_arrays_of_1001: u64,
    pub(crate) sticky_classes: u64,
    pub(crate) threads: u64,
}

impl Census {
    pub(crate) fn names(&self) -> usize {
        self.texts.len()
    }

    pub(crate) fn loaded(&self) -> usize {
        self.class_names.len()
    }

    fn class(&self, name: &str) -> (u64, u64) {
        let named = |id: &u64| self.texts.get(id).is_some_and(|text| text == name.as_bytes());
        let classes: Vec<u64> = self.class_names.iter().filter(|(_, id)| named(id)).map(|(class, _)| *class).collect();
        assert_eq!(classes.len(), 1, "one class of the name {name}");
        self.instances.get(&classes[0]).copied().unwrap_or_default()
    }

    pub(crate) fn instances(&self, name: &str) -> u64 {
        self.class(name).0
    }

    pub(crate) fn bytes(&self, name: &str) -> u64 {
        self.class(name).1
    }
}

impl Visitor for Census {
    fn record(&mut self, _record: &Record) {
        self.arriving = None;
    }

    fn utf8(&mut self, id: u64, _length: u32) {
        self.texts.insert(id, Vec::new());
        self.arriving = Some(id);
    }

    fn load_class(&mut self, class: &LoadClass) {
        self.class_names.insert(class.class, class.name);
    }

    fn root(&mut self, root: &Root) {
        match root.kind {
            RootKind::StickyClass => self.sticky_classes += 1,
            RootKind::ThreadObject => self.threads += 1,
            _ => {}
        }
    }

    fn instance(&mut self, instance: &Instance) {
        let (count, bytes) = self.instances.entry(instance.class).or_default();
        *count += 1;
        *bytes += u64::from(instance.length);
    }

    fn primitive_array(&mut self, array: &PrimitiveArray) {
        self.long_arrays_of_1001 += u64::from(array.element == Type::Long && array.length == 1001);
    }

    fn body(&mut self, _offset: u64, bytes: &[u8]) {
        if let Some(id) = self.arriving {
            self.texts.entry(id).or_default().extend_from_slice(bytes);
        }
    }
}
