//! Where redaction would be a guess there is none.

use jattach_protocol::hprof;
use jattach_protocol::hprof::redact::{Error, Redactor};
use jattach_protocol::message::Redact;
use proptest::prelude::*;

use super::model::{Class, Heap, Object, heap};

const OBJECT: u8 = 2;
const INT: u8 = 10;
const LONG: u8 = 11;

fn class(super_class: Option<usize>, fields: &[u8]) -> Class {
    Class { super_class, constants: vec![], statics: vec![], fields: fields.to_vec(), is_string: false }
}

fn string() -> Class {
    Class { is_string: true, ..class(None, &[OBJECT, INT]) }
}

/// A dump of these classes, described in this order, and an instance of the first one.
fn instance_of(classes: Vec<Class>, order: Vec<usize>) -> Vec<u8> {
    Heap { ids: 8, classes, order, objects: vec![Object::Instance(0)], segment: usize::MAX }.dump().bytes
}

/// Why it is not redacted; nothing of it must be left, and nothing that comes after it either.
fn refusal(what: Redact, dump: &[u8]) -> Error {
    let mut redactor = Redactor::main(what);
    let mut bytes = dump.to_vec();
    let error = redactor.redact(&mut bytes).expect_err("not to be redacted");
    assert!(bytes.iter().all(|byte| *byte == 0), "{error}: some of it is left");
    let mut more = dump.to_vec();
    assert_eq!(redactor.redact(&mut more), Err(error.clone()));
    assert!(more.iter().all(|byte| *byte == 0), "{error}: more of it is left");
    error
}

/// The dump is redacted, that is all.
fn accepted(what: Redact, mut dump: Vec<u8>) -> Result<(), Error> {
    Redactor::main(what).redact(&mut dump)
}

#[test]
fn an_instance_before_its_class_is_refused_where_its_fields_matter() {
    let dump = instance_of(vec![class(None, &[INT]), string()], vec![1]);
    let error = refusal(Redact::All, &dump);
    assert!(matches!(error, Error::NoLayout { class: 8, .. }), "{error:?}");
    assert!(
        error.to_string().starts_with("the dump describes class 0x8 after its instances, or not at all"),
        "{error}"
    );
    assert_eq!(accepted(Redact::Arrays, dump), Ok(()));
}

#[test]
fn an_instance_before_any_of_its_super_classes_is_refused_where_its_fields_matter() {
    let classes = vec![class(Some(1), &[INT]), class(Some(2), &[OBJECT]), class(None, &[]), string()];
    assert!(matches!(
        refusal(Redact::All, &instance_of(classes.clone(), vec![3, 1, 0])),
        Error::NoLayout { class: 24, .. }
    ));
    assert_eq!(accepted(Redact::All, instance_of(classes.clone(), vec![3, 1, 0, 2])), Ok(()));
    assert_eq!(accepted(Redact::Text, instance_of(classes, vec![3, 1, 0])), Ok(()));
}

#[test]
fn an_instance_before_string_is_refused() {
    for what in [Redact::Text, Redact::Arrays] {
        let error = refusal(what, &instance_of(vec![class(None, &[INT])], vec![0]));
        assert!(matches!(error, Error::NoString { .. }), "{error:?}");
    }
}

#[test]
fn a_class_with_another_serial_version_is_not_string() {
    let other = Class { statics: vec![LONG, LONG], ..class(None, &[OBJECT, INT]) };
    let error = refusal(Redact::Text, &instance_of(vec![other], vec![0]));
    assert!(matches!(error, Error::NoString { .. }), "{error:?}");
}

#[test]
fn an_instance_that_its_class_does_not_fill_is_refused() {
    for (what, class) in [(Redact::All, class(None, &[INT])), (Redact::Text, string())] {
        let mut dump = instance_of(vec![class], vec![0]);
        let fields = if what == Redact::All { 4 } else { 12 };
        // It is refused before any of its fields has come.
        dump.truncate(dump.len() - 9 - fields);
        *dump.last_mut().expect("its length") -= 1;
        let error = refusal(what, &dump);
        assert!(matches!(error, Error::Length { length, expected, .. } if length + 1 == expected), "{error:?}");
    }
}

/// String, and then this class instead.
fn twice(what: Redact, class: &Class) -> Result<(), Error> {
    let mut dump = Heap { ids: 8, classes: vec![string()], order: vec![0], objects: vec![], segment: 1 }.part();
    dump.class(0, class);
    dump.length(9);
    Redactor::part(what, hprof::IdSize::Eight).redact(&mut dump.bytes)
}

#[test]
fn a_class_described_twice_is_refused_unless_nothing_differs() {
    for what in [Redact::All, Redact::Text] {
        assert_eq!(accepted(what, instance_of(vec![string()], vec![0, 0, 0])), Ok(()));
        let other_fields = Class { is_string: true, ..class(None, &[OBJECT, LONG, LONG]) };
        assert_eq!(twice(what, &other_fields).expect_err("two layouts"), Error::Twice { offset: 115, class: 8 });
    }
    let other_super_class = Class { super_class: Some(1), ..string() };
    assert_eq!(
        twice(Redact::All, &other_super_class).expect_err("two layouts"),
        Error::Twice { offset: 115, class: 8 }
    );
}

#[test]
fn a_circle_of_classes_is_refused() {
    let classes = vec![class(Some(1), &[INT]), class(None, &[INT])];
    let mut dump = Heap { ids: 8, classes, order: vec![0], objects: vec![], segment: 1 }.part();
    dump.class(1, &class(Some(0), &[INT]));
    dump.bytes.extend([[0x21].as_slice(), &[0; 12], &8_u64.to_be_bytes(), &8_u32.to_be_bytes(), &[1; 8]].concat());
    dump.length(9);
    let error = Redactor::part(Redact::All, hprof::IdSize::Eight).redact(&mut dump.bytes).expect_err("a circle");
    assert_eq!(error, Error::TooDeep { class: 8, most: 1024 });
}

#[test]
fn as_many_super_classes_as_any_program_has_are_followed() {
    let line = |length: usize| {
        let classes: Vec<Class> =
            (1..=length).map(|number| class((number < length).then_some(number), &[OBJECT, INT])).collect();
        instance_of(classes, (0..length).collect())
    };
    assert_eq!(accepted(Redact::All, line(1025)), Ok(()));
    assert_eq!(refusal(Redact::All, &line(1026)), Error::TooDeep { class: 8, most: 1024 });
}

#[test]
fn no_dump_has_a_say_in_how_much_is_remembered() {
    let mut part = Heap { ids: 8, classes: vec![class(None, &[])], order: vec![0], objects: vec![], segment: 1 }.part();
    let mut redactor = Redactor::part(Redact::All, hprof::IdSize::Eight);
    let error = (0_u64..).find_map(|number| {
        part.bytes[10..18].copy_from_slice(&number.to_be_bytes());
        redactor.redact(&mut part.bytes.clone()).err()
    });
    assert_eq!(error, Some(Error::TooMany { offset: (1 << 18) * part.bytes.len() as u64 + 9 }));

    // Alternating fields cost the most.
    let fields = [OBJECT, INT].repeat(30_000);
    let mut part =
        Heap { ids: 8, classes: vec![class(None, &fields)], order: vec![0], objects: vec![], segment: 1 }.part();
    let mut redactor = Redactor::part(Redact::All, hprof::IdSize::Eight);
    let classes = (0_u64..).take_while(|number| {
        part.bytes[10..18].copy_from_slice(&number.to_be_bytes());
        redactor.redact(&mut part.bytes.clone()).is_ok()
    });
    assert_eq!(classes.count(), (1 << 20) / 30_000);
}

#[test]
fn inherited_fields_are_bounded_as_own_ones_are() {
    let fields = [OBJECT, INT].repeat(30_000);
    // Each class is small enough by itself; an instance of the first one has the fields of all.
    let classes: Vec<Class> = (1..=30).map(|number| class((number < 30).then_some(number), &fields)).collect();
    let error = refusal(Redact::All, &instance_of(classes, (0..30).collect()));
    assert!(matches!(error, Error::TooMany { .. }), "{error:?}");
}

proptest! {
    #[test]
    fn what_is_no_heap_dump_is_refused(heap in heap(), at in any::<prop::sample::Index>()) {
        let mut dump = heap.dump().bytes;
        // No tag of any kind, where one has to be.
        let record = dump.len() - heap.part().bytes.len() - 9;
        let end = dump.len() - 9;
        dump[*at.get(&[record, end])] = 0x7f;
        let error = refusal(Redact::Text, &dump);
        prop_assert!(matches!(error, Error::Read(hprof::Error::UnknownTag { .. })), "{:?}", error);
    }
}
