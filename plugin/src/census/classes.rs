//! The classes: their layouts, and what there is of each.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use jattach_protocol::hprof::{self, IdSize, LoadClass, Type};

use super::shallow;

/// Classes counted each for itself; several times what the largest applications load.
const MOST: usize = 1 << 20;
/// Fields of all classes together.
const MOST_FIELDS: usize = 4 << 20;

/// Where in the list of classes those are counted that are beyond [`MOST`].
const OTHERS: usize = 0;

/// A class, and what the dump holds of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Class {
    /// The identifier of its name; 0 if no LOAD_CLASS gives one.
    pub(super) name: u64,
    layout: Option<Layout>,
    pub(super) instances: u64,
    /// Bytes of the instances' field values.
    values: u64,
    /// Arrays whose class this is, and their shallow bytes.
    pub(super) arrays: u64,
    pub(super) array_bytes: u64,
}

/// What CLASS_DUMP says of a class.
#[derive(Clone, Copy, Debug)]
struct Layout {
    super_class: u64,
    /// Bytes of the fields that the class itself declares.
    own: u32,
    /// Where its fields begin in the list of all, and how many there are.
    fields: (usize, usize),
}

/// An instance field.
#[derive(Clone, Copy, Debug)]
struct Field {
    name: u64,
    kind: Type,
}

pub(super) struct Classes {
    /// By identifier. The file chooses those: the hash has a random seed.
    places: HashMap<u64, usize, RandomState>,
    all: Vec<Class>,
    by_serial: HashMap<u32, usize, RandomState>,
    fields: Vec<Field>,
    /// The class whose objects came last: the next is often the same.
    last: (u64, usize),
    /// The class whose fields are coming.
    open: Option<usize>,
    pub(super) left_out: bool,
}

impl Default for Classes {
    fn default() -> Classes {
        Classes {
            places: HashMap::default(),
            all: vec![Class::default()],
            by_serial: HashMap::default(),
            fields: Vec::new(),
            // No class has this identifier, and if one has, it is its own.
            last: (0, OTHERS),
            open: None,
            left_out: false,
        }
    }
}

impl Classes {
    #[inline]
    fn at(&mut self, id: u64) -> usize {
        if self.last.0 == id && self.last.1 != OTHERS {
            return self.last.1;
        }
        let place = match self.places.get(&id) {
            Some(place) => *place,
            None => self.add(id),
        };
        self.last = (id, place);
        place
    }

    #[cold]
    fn add(&mut self, id: u64) -> usize {
        if self.all.len() > MOST {
            self.left_out = true;
            return OTHERS;
        }
        self.all.push(Class::default());
        self.places.insert(id, self.all.len() - 1);
        self.all.len() - 1
    }

    pub(super) fn load(&mut self, class: &LoadClass) {
        let place = self.at(class.class);
        if place != OTHERS {
            self.all[place].name = class.name;
            self.by_serial.insert(class.serial, place);
        }
    }

    pub(super) fn dump(&mut self, class: &hprof::Class) {
        let place = self.at(class.id);
        self.open = None;
        if place != OTHERS && self.all[place].layout.is_none() {
            let fields = (self.fields.len(), 0);
            self.all[place].layout = Some(Layout { super_class: class.super_class, own: 0, fields });
            self.open = Some(place);
        }
    }

    pub(super) fn field(&mut self, name: u64, kind: Type, ids: IdSize) {
        let layout = self.open.and_then(|place| self.all[place].layout.as_mut());
        let Some(layout) = layout else { return };
        // 65535 fields of 8 bytes at most.
        layout.own += u32::try_from(kind.size(ids)).expect("at most 8");
        if self.fields.len() < MOST_FIELDS {
            layout.fields.1 += 1;
            self.fields.push(Field { name, kind });
        } else {
            self.left_out = true;
        }
    }

    #[inline]
    pub(super) fn instance(&mut self, class: u64, length: u32) {
        let place = self.at(class);
        let class = &mut self.all[place];
        class.instances += 1;
        class.values += u64::from(length);
    }

    #[inline]
    pub(super) fn array(&mut self, class: u64, bytes: u64) {
        let place = self.at(class);
        let class = &mut self.all[place];
        class.arrays += 1;
        class.array_bytes += bytes;
    }

    /// The identifier of the name of the class with this identifier.
    pub(super) fn name(&self, id: u64) -> Option<u64> {
        self.places.get(&id).map(|place| self.all[*place].name)
    }

    /// The same for the class with this serial number.
    pub(super) fn name_by_serial(&self, serial: u32) -> Option<u64> {
        self.by_serial.get(&serial).map(|place| self.all[*place].name)
    }

    /// Each class with its identifier (None: those that were too many), and the shallow bytes of its instances.
    pub(super) fn counted(&self, ids: IdSize) -> impl Iterator<Item = (Option<u64>, &Class, u64)> {
        let mut sizes = vec![None; self.all.len()];
        let known = self.places.iter().map(|(id, place)| (Some(*id), *place));
        known.chain([(None, OTHERS)]).map(move |(id, place)| {
            let class = &self.all[place];
            let bytes = match self.size(place, ids, &mut sizes) {
                Some(size) => class.instances * shallow::aligned(size.into()),
                // The layout did not come, or not all of it: what the instances themselves hold is as good.
                None => {
                    let values = class.values.checked_div(class.instances).unwrap_or(0);
                    class.instances * shallow::aligned(u64::from(shallow::header(ids)) + values)
                }
            };
            (id, class, bytes)
        })
    }

    /// Bytes of an instance before alignment; None if the class or one above it has no layout. `sizes` remembers.
    fn size(&self, place: usize, ids: IdSize, sizes: &mut [Option<Size>]) -> Option<u32> {
        let mut chain = Vec::new();
        let mut at = place;
        let mut size = loop {
            match sizes[at] {
                Some(Size::Known(size)) => break Some(size),
                // A class that is its own ancestor, too.
                Some(Size::Unknown | Size::Pending) => break None,
                None => {}
            }
            sizes[at] = Some(Size::Pending);
            chain.push(at);
            let Some(layout) = self.all[at].layout else { break None };
            if layout.super_class == 0 {
                // java.lang.Object: no fields of its own.
                chain.pop();
                sizes[at] = Some(Size::Known(shallow::header(ids)));
                break Some(shallow::header(ids));
            }
            match self.places.get(&layout.super_class) {
                Some(above) => at = *above,
                None => break None,
            }
        };
        for below in chain.into_iter().rev() {
            let own = self.all[below].layout.map(|layout| layout.own);
            size = size.zip(own).and_then(|(above, own)| shallow::extended(above, own, ids));
            sizes[below] = Some(size.map_or(Size::Unknown, Size::Known));
        }
        size
    }

    /// Where in an instance of `class` the value of the field lies that is called `name` and that the class called
    /// `declared_by` declares, one of its own or inherited; and the field's type.
    pub(super) fn find_field(&self, class: u64, declared_by: u64, name: u64, ids: IdSize) -> Option<(usize, Type)> {
        let mut place = *self.places.get(&class)?;
        let mut offset = 0;
        for _ in 0..DEEPEST {
            let layout = self.all[place].layout?;
            if self.all[place].name == declared_by {
                let (first, count) = layout.fields;
                for field in &self.fields[first..first + count] {
                    if field.name == name {
                        return Some((usize::try_from(offset).ok()?, field.kind));
                    }
                    offset += field.kind.size(ids);
                }
                return None;
            }
            offset += u64::from(layout.own);
            place = *self.places.get(&layout.super_class)?;
        }
        None
    }
}

/// The most classes that are looked through for a field; a file may have a class be its own ancestor.
const DEEPEST: usize = 1000;

#[derive(Clone, Copy)]
enum Size {
    Pending,
    Unknown,
    Known(u32),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_without_end_are_counted_as_one() {
        let mut classes = Classes::default();
        for id in 1..=MOST as u64 + 3 {
            classes.instance(id, 8);
        }
        classes.array(MOST as u64 + 4, 24);
        let others = classes
            .counted(IdSize::Eight)
            .find(|(id, ..)| id.is_none())
            .map(|(_, class, bytes)| (class.instances, bytes, class.arrays, class.array_bytes));
        assert_eq!((others, classes.left_out), (Some((3, 3 * 24, 1, 24)), true));
        let counted: u64 = classes.counted(IdSize::Eight).map(|(_, class, _)| class.instances).sum();
        assert_eq!(counted, MOST as u64 + 3);
    }

    #[test]
    fn the_fields_of_each_class_are_padded_by_themselves() {
        let mut classes = Classes::default();
        let class =
            |id, super_class| hprof::Class { offset: 0, id, trace: 0, super_class, loader: 0, instance_size: 0 };
        classes.dump(&class(1, 0));
        for (id, kind) in [(2, Type::Boolean), (3, Type::Int), (4, Type::Object)] {
            classes.dump(&class(id, id - 1));
            classes.field(id + 10, kind, IdSize::Four);
            classes.instance(id, 0);
        }
        let mut sizes: Vec<u64> =
            classes.counted(IdSize::Four).map(|(.., bytes)| bytes).filter(|bytes| *bytes > 0).collect();
        sizes.sort_unstable();
        // Headers of 8 bytes, then 4 for each class, the whole aligned to 8.
        assert_eq!(sizes, [16, 16, 24]);
    }

    #[test]
    fn an_inherited_field_lies_behind_those_of_the_heirs() {
        let mut classes = Classes::default();
        let class =
            |id, super_class| hprof::Class { offset: 0, id, trace: 0, super_class, loader: 0, instance_size: 0 };
        for (serial, id) in [(1, 1), (2, 2)] {
            classes.load(&LoadClass { serial, class: id, trace: 0, name: id + 100 });
        }
        classes.dump(&class(1, 0));
        classes.field(50, Type::Long, IdSize::Eight);
        classes.field(51, Type::Object, IdSize::Eight);
        classes.dump(&class(2, 1));
        classes.field(51, Type::Int, IdSize::Eight);
        let found = |name| classes.find_field(2, 101, name, IdSize::Eight);
        assert_eq!((found(51), found(50), found(52)), (Some((12, Type::Object)), Some((4, Type::Long)), None));
        assert_eq!(classes.find_field(2, 102, 51, IdSize::Eight), Some((0, Type::Int)));
    }
}
