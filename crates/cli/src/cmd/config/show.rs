//! What holds, as a file: each setting with its value and, when asked, where it comes from.

use crate::config::{Chosen, Given, Key, Origin, Recipe, Scope, Source, What, choose, of_process};
use crate::error::UserError;
use crate::settings::StdinKind;

/// The whole file.
///
/// # Errors
/// Everything that is wrong with the file it is made of.
pub(super) fn text(source: Source, given: Given, origin: bool) -> Result<String, Vec<UserError>> {
    source.check()?;
    let file = source.read()?;
    let path = source.path().map(|path| path.display().to_string()).unwrap_or_default();
    let mut page = Page { text: String::new(), path, origin };
    let chosen = choose(&Scope::Top, file.as_ref(), None, &given);
    page.settings(&Scope::Top.keys(), &chosen);
    if !source.has_sections() {
        return Ok(page.text);
    }
    let plan = Recipe { what: What::All, source, given, stdin: StdinKind::Other }.plan()?;
    for member in &plan.members {
        page.text.push_str(&format!("\n{}\n", member.scope.head()));
        if member.scope == Scope::Recv {
            page.line("name", &quoted(&member.name), "");
        }
        let keys = member.scope.settings();
        let keys: Vec<Key> = keys.into_iter().filter(|key| !of_process(key.id())).collect();
        page.settings(&keys, &member.chosen);
    }
    Ok(page.text)
}

struct Page {
    text: String,
    path: String,
    origin: bool,
}

impl Page {
    fn settings(&mut self, keys: &[Key], chosen: &[Chosen]) {
        for key in keys {
            match chosen.iter().find(|one| one.key.name == key.name) {
                Some(one) => self.chosen(one),
                None => self.default(key),
            }
        }
    }

    fn chosen(&mut self, one: &Chosen) {
        let value = |text: &std::ffi::OsStr| bare_or_quoted(&text.to_string_lossy(), &one.key);
        let name = &one.key.name;
        if let ([only], false) = (one.items.as_slice(), one.key.is_list()) {
            let from = self.from(&only.origin);
            self.line(name, &value(&only.text), &from);
            return;
        }
        self.text.push_str(&format!("{name} = [\n"));
        for item in &one.items {
            let note = self.note(&self.from(&item.origin));
            self.text.push_str(&format!("  {},{note}\n", value(&item.text)));
        }
        self.text.push_str("]\n");
    }

    fn default(&mut self, key: &Key) {
        let default = key.arg.get_default_values().first();
        match default.map(|value| value.to_string_lossy().into_owned()) {
            Some(value) => self.line(&key.name, &bare_or_quoted(&value, key), "default"),
            None if key.is_switch() => self.line(&key.name, "false", "default"),
            None => {
                let note = self.note("default: not set");
                self.text.push_str(&format!("#{} ={note}\n", key.name));
            }
        }
    }

    fn line(&mut self, name: &str, value: &str, from: &str) {
        let note = self.note(from);
        self.text.push_str(&format!("{name} = {value}{note}\n"));
    }

    fn note(&self, from: &str) -> String {
        if self.origin && !from.is_empty() { format!("  # {from}") } else { String::new() }
    }

    fn from(&self, origin: &Origin) -> String {
        match origin {
            Origin::Flag => "flag".to_owned(),
            Origin::Environment(name) => format!("environment {name}"),
            Origin::Section(place) | Origin::Top(place) => {
                format!("{}:{}", crate::sink::escape_text(&self.path), place.line)
            }
        }
    }
}

fn bare_or_quoted(text: &str, key: &Key) -> String {
    let bare = key.is_switch() || text.parse::<u32>().is_ok_and(|n| n.to_string() == text);
    if bare { text.to_owned() } else { quoted(text) }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if crate::sink::escape::is_active(c) => {
                out.push_str(&format!("\\U{:08x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
