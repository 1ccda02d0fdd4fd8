//! Random JavaScript programs, on `mini_node` and on Node.
//!
//! Both get the same file. To start Node takes longer than most programs, so a file has a batch of them, which run one
//! after the other. What differs there is run alone before it is believed.

mod generator;
mod program;
mod run;

use std::io;
use std::path::PathBuf;

use crate::common::{complain, say};
use program::Program;
use run::{Batch, Outcome};

/// Programs that share a process.
const BATCH: usize = 25;

/// How often Node may run a program until it agrees: a machine that is held up can spoil a run, and
/// a busy one several.
const TRIES: usize = 8;

pub(crate) struct Options {
    pub seed: u64,
    pub count: u64,
    /// Print the JavaScript instead of running it.
    pub print: bool,
    /// On the real clock instead of in virtual time.
    pub real: bool,
    /// Where `mini_node` is, if somebody has said so.
    pub mini_node: Option<PathBuf>,
}

/// Whether all programs agree.
pub(crate) fn compare(options: &Options) -> io::Result<bool> {
    let seeds = options.seed..options.seed.saturating_add(options.count);
    if options.print {
        for seed in seeds {
            say!("// seed {seed}\n{}", program::file(&[&generator::generate(seed)]));
        }
        return Ok(true);
    }
    let run = run::Run::new(options)?;
    let programs: Vec<_> = seeds.map(generator::generate).collect();
    let (alone, together): (Vec<_>, Vec<_>) =
        programs.iter().partition(|program| program.alone.is_some());
    let batches = together.chunks(BATCH).map(<[_]>::to_vec);
    let batches = batches.chain(alone.into_iter().map(|program| vec![program]));
    let (mut labels, mut differing) = (0, 0);
    for batch in batches {
        log::debug!("seeds {:?}", batch.iter().map(|program| program.seed).collect::<Vec<_>>());
        let node = run.node(&Batch::new(&batch))?;
        let ours = run.ours(&Batch::new(&batch))?;
        for program in &batch {
            labels += node.of(program).map_or(0, <[_]>::len);
            if node.same(&ours, program) {
                continue;
            }
            if let Some((node, ours)) = differs(&run, program)? {
                differing += 1;
                say!("seed {} differs:\n{}", program.seed, side_by_side(&node, &ours));
                print_smallest(&run, program)?;
            }
        }
    }
    say!(
        "seeds {} to {}: {} programs in JavaScript, {labels} labels: {} agree, {differing} differ",
        options.seed,
        options.seed.saturating_add(options.count).saturating_sub(1),
        options.count,
        options.count - differing
    );
    Ok(differing == 0)
}

/// What both print, if that differs each time.
fn differs(run: &run::Run, program: &Program) -> io::Result<Option<(Outcome, Outcome)>> {
    let batch = Batch::new(&[program]);
    let ours = run.ours(&batch)?;
    let mut node = run.node(&batch)?;
    for _ in 1..TRIES {
        if node == ours {
            return Ok(None);
        }
        node = run.node(&batch)?;
    }
    Ok((node != ours).then_some((node, ours)))
}

fn print_smallest(run: &run::Run, program: &Program) -> io::Result<()> {
    let fails = |program: &Program| match differs(run, program) {
        Ok(found) => found.is_some(),
        Err(error) => {
            complain!("seed {}: {error}", program.seed);
            false
        }
    };
    let smallest = program::shrink(program, fails);
    if let Some((node, ours)) = differs(run, &smallest)? {
        say!("{}\n{}", program::own_text(&smallest), side_by_side(&node, &ours));
    }
    Ok(())
}

/// Both outputs, a label a line, with the first difference marked.
fn side_by_side(node: &Outcome, ours: &Outcome) -> String {
    let (node, ours) = (node.lines(), ours.lines());
    let widths = node.iter().map(|line| line.chars().count());
    let width = widths.chain([4]).max().unwrap_or(0);
    let mut text = format!("    {:width$}  ours\n", "node");
    let mut same = true;
    for at in 0..node.len().max(ours.len()) {
        let line = |of: &[String]| of.get(at).cloned().unwrap_or_else(|| "-".to_owned());
        let (left, right) = (line(&node), line(&ours));
        let mark = if same && left != right { ">>> " } else { "    " };
        same &= left == right;
        text += &format!("{mark}{left:width$}  {right}\n");
    }
    text
}
