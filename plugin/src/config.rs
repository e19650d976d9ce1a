//! The configuration file: what a site sets once instead of giving the flags of the same names. A flag counts before the
//! environment, and that before the file.

use std::env;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Deserialize;

use crate::catalogue::Id;
use crate::cli::flags::{ConnectionFlags, InjectorFlags};
use crate::error::{Failure, Result};
use crate::options::duration;
use crate::render::document;
use crate::text_file;

/// Where it is below the user's directory for configurations.
const FILE: &str = "kubectl-jattach/config.yaml";
/// Beyond this it is another file than is meant.
const LARGEST: u64 = 1 << 20;
const KEYS: &str =
    "the keys are image, image-pull-policy, profile, ttl and request-timeout, each as the flag of its name takes it";

/// A file as it was read, or an empty one where there is none.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// Where it was read from.
    pub(crate) path: PathBuf,
    settings: Settings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    image: Option<String>,
    image_pull_policy: Option<String>,
    profile: Option<String>,
    ttl: Option<String>,
    request_timeout: Option<String>,
}

impl Config {
    /// The user's.
    ///
    /// # Errors
    /// A file that is there and cannot be used.
    pub(crate) fn load() -> Result<Config> {
        let home = env::home_dir();
        let folder = if cfg!(windows) { env::var_os("APPDATA") } else { env::var_os("XDG_CONFIG_HOME") };
        match folder_of(folder, home.as_deref()) {
            Some(folder) => Config::read(folder.join(FILE)),
            None => Ok(Config::default()),
        }
    }

    fn read(path: PathBuf) -> Result<Config> {
        let text = match text_file::read_regular(&path, LARGEST) {
            Ok(text) => text,
            // No such file, or a file where the directory would be.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Config::default());
            }
            Err(error) => {
                let remedy = match error.kind() {
                    ErrorKind::PermissionDenied => "correct its rights, or remove it".to_owned(),
                    _ => format!("put a short text in its place, or remove it: {KEYS}"),
                };
                return Err(unusable(&path, "cannot be read", &error.to_string()).remedy(remedy));
            }
        };
        let settings = document::read::<Option<Settings>>(&text)
            .map_err(|error| unusable(&path, "cannot be used", &error).remedy(format!("correct that line: {KEYS}")))?;
        let config = Config { path, settings: settings.unwrap_or_default() };
        config.check()?;
        Ok(config)
    }

    /// That each value is one that its flag takes: a mistake is the file's then, not that of a flag that nobody has given.
    fn check(&self) -> Result<()> {
        let Settings { image, image_pull_policy, profile, ttl, request_timeout } = &self.settings;
        let is_duration = |text: &String| duration(text).is_some();
        let keys = [
            (
                "image",
                image,
                image.as_ref().is_none_or(|image| is_reference(image)),
                "REGISTRY/NAME:TAG or REGISTRY/NAME@DIGEST",
            ),
            (
                "image-pull-policy",
                image_pull_policy,
                is_one_of::<crate::options::PullPolicy>(image_pull_policy),
                "Always, IfNotPresent or Never",
            ),
            (
                "profile",
                profile,
                is_one_of::<crate::options::Profile>(profile),
                "auto, restricted, baseline, general or sysadmin",
            ),
            (
                "ttl",
                ttl,
                ttl.as_ref().is_none_or(|ttl| duration(ttl).is_some_and(|ttl| !ttl.is_zero())),
                "30s, 10m, 1h30m",
            ),
            (
                "request-timeout",
                request_timeout,
                request_timeout.as_ref().is_none_or(is_duration),
                "5, 5s, 2m; 0 is none",
            ),
        ];
        match keys.into_iter().find(|(.., fits, _)| !fits) {
            Some((key, value, _, examples)) => {
                let evidence = format!("{key}: {}", value.as_deref().unwrap_or_default());
                Err(unusable(&self.path, &format!("has no value for {key} that can be used"), &evidence)
                    .remedy(format!("correct that line; it takes {examples}")))
            }
            None => Ok(()),
        }
    }

    /// Whether it names an image.
    pub(crate) fn names_image(&self) -> bool {
        self.settings.image.is_some()
    }

    /// Whether it names a profile.
    pub(crate) fn names_profile(&self) -> bool {
        self.settings.profile.is_some()
    }

    /// Gives these flags what they have not been given.
    pub(crate) fn fill(&self, connection: &mut ConnectionFlags, injector: &mut InjectorFlags) {
        let Settings { image, image_pull_policy, profile, ttl, request_timeout } = &self.settings;
        let fill = |flag: &mut Option<String>, setting: &Option<String>| {
            if flag.is_none() {
                flag.clone_from(setting);
            }
        };
        fill(&mut injector.image, image);
        fill(&mut injector.ttl, ttl);
        fill(&mut connection.request_timeout, request_timeout);
        injector.image_pull_policy = injector.image_pull_policy.or_else(|| value(image_pull_policy));
        injector.profile = injector.profile.or_else(|| value(profile));
    }
}

/// The directory for configurations: the one that the environment names, if that is an absolute path (so the XDG base
/// directory specification), or else the usual one of the user.
fn folder_of(named: Option<OsString>, home: Option<&Path>) -> Option<PathBuf> {
    let named = named.map(PathBuf::from).filter(|folder| folder.is_absolute());
    let usual = if cfg!(windows) { "AppData/Roaming" } else { ".config" };
    named.or_else(|| home.map(|home| home.join(usual)))
}

/// Whether it could be an image's reference; the node has the last word.
pub(crate) fn is_reference(image: &str) -> bool {
    !image.is_empty() && !image.chars().any(char::is_whitespace)
}

fn value<T: ValueEnum>(text: &Option<String>) -> Option<T> {
    T::from_str(text.as_deref()?, false).ok()
}

fn is_one_of<T: ValueEnum>(text: &Option<String>) -> bool {
    text.is_none() || value::<T>(text).is_some()
}

fn unusable(path: &Path, how: &str, evidence: &str) -> Failure {
    Failure::new(Id::Config, format!("the configuration file {how}"))
        .evidence(format!("{}\n{evidence}", path.display()))
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
