//! Kubernetes resource quantities (`500m`, `384Mi`, `1e3`) as whole numbers, rounded up.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::error::{Error, Result};

/// The quantity in thousandths, as CPU is counted.
pub(super) fn millis(field: &str, quantity: &Quantity) -> Result<u64> {
    scaled(field, &quantity.0, 1000.0)
}

/// The quantity in units, as memory is counted.
pub(super) fn units(field: &str, quantity: &Quantity) -> Result<u64> {
    scaled(field, &quantity.0, 1.0)
}

fn scaled(field: &str, text: &str, scale: f64) -> Result<u64> {
    let invalid = || Error::InvalidField { field: field.to_owned(), value: text.to_owned() };
    let (number, factor) = split(text);
    let value = (number.parse::<f64>().map_err(|_| invalid())? * factor * scale).ceil();
    if !(0.0..9.0e15).contains(&value) {
        return Err(invalid());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be within 0 and 2^53")]
    Ok(value as u64)
}

/// Longest suffixes first: `m` must not take the end of `Mi`, nor `E` that of an exponent.
fn split(text: &str) -> (&str, f64) {
    const SUFFIXES: [(&str, f64); 15] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    SUFFIXES
        .iter()
        .find_map(|(suffix, factor)| text.strip_suffix(suffix).map(|number| (number, *factor)))
        .unwrap_or((text, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(text: &str) -> Quantity {
        Quantity(text.to_owned())
    }

    #[test]
    fn cpu_is_counted_in_thousandths() {
        assert_eq!(millis("cpu", &quantity("500m")).unwrap(), 500);
        assert_eq!(millis("cpu", &quantity("1.5")).unwrap(), 1500);
        assert_eq!(millis("cpu", &quantity("2")).unwrap(), 2000);
        assert_eq!(millis("cpu", &quantity("1u")).unwrap(), 1);
    }

    #[test]
    fn memory_is_counted_in_bytes() {
        assert_eq!(units("memory", &quantity("384Mi")).unwrap(), 384 << 20);
        assert_eq!(units("memory", &quantity("1e3")).unwrap(), 1000);
        assert_eq!(units("memory", &quantity("5M")).unwrap(), 5_000_000);
        assert_eq!(units("memory", &quantity("0")).unwrap(), 0);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "Mi", "-1", "1Xi", "NaN", "inf", "9E"] {
            assert!(units("memory", &quantity(text)).is_err(), "{text:?} was taken");
        }
    }
}
