//! `adloupe models`: which kinds of models are there, and what can be set?

use super::{Answer, Terminal};
use crate::base::Result;
use crate::base::params::ParamSpec;
use crate::models::{MODELS, ModelKind};
use crate::train::specs_of;
use serde_json::{Value, json};
use std::fmt::Write;

/// Lists the kinds of models, what each can see and its knobs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// List every knob with its bounds and default.
    #[arg(long)]
    params: bool,
}

/// Lists the kinds with one line each.
///
/// # Errors
/// None in practice.
pub fn run(args: &Args, _terminal: &Terminal) -> Result<Answer> {
    let mut text = String::new();
    for kind in MODELS {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:<10} {}: {}", kind.id(), kind.label(), kind.summary());
        if args.params {
            knobs(&mut text, &specs_of(kind.id())?);
        }
    }
    Ok(Answer {
        text,
        json: json!({
            "models": MODELS.iter().map(|kind| kind_json(*kind)).collect::<Result<Vec<_>>>()?,
        }),
    })
}

fn knobs(text: &mut String, specs: &[ParamSpec]) {
    for spec in specs {
        let (id, default, bounds) = (spec.id, spec.default_value(), spec.bounds());
        let _ = writeln!(text, "    {id} = {default}  ({bounds})  {}", spec.help);
    }
}

fn kind_json(kind: &dyn ModelKind) -> Result<Value> {
    Ok(json!({
        "id": kind.id(),
        "label": kind.label(),
        "summary": kind.summary(),
        "attention": kind.exposes_attention(),
        "params": specs_of(kind.id())?.iter().map(knob_json).collect::<Vec<_>>(),
    }))
}

fn knob_json(spec: &ParamSpec) -> Value {
    json!({
        "name": spec.id,
        "label": spec.label,
        "help": spec.help,
        "bounds": spec.bounds(),
        "default": spec.default_value(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_every_kind_and_every_knob() {
        let answer = run(&Args { params: true }, &Terminal::default()).unwrap();
        for kind in MODELS {
            assert!(answer.text.contains(kind.summary()));
            for spec in specs_of(kind.id()).unwrap() {
                assert!(answer.text.contains(spec.help), "{}", spec.id);
            }
        }
        assert_eq!(answer.json["models"].as_array().map(Vec::len), Some(MODELS.len()));
    }
}
