//! Where each tensor of a program lies: tensors that are never needed at the same time may share their place.

use super::program::{BufferId, Program};

/// GPUs fetch memory in lines; a tensor begins at one.
const LINE: usize = 256;

/// The places of a program's tensors in one piece of memory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// Where each tensor begins, in bytes.
    pub begins: Vec<usize>,
    /// The bytes of all.
    pub bytes: usize,
}

/// From which step to which one a tensor is needed, both included.
#[derive(Debug, Clone, Copy)]
struct Life {
    first: usize,
    last: usize,
}

/// Finds a place for each tensor, the largest first, each at the lowest place that is free for as long as it is needed (greedy by size: Pisarchyk
/// and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
pub(super) fn place(program: &Program) -> Places {
    let lives = lives(program);
    let mut order: Vec<usize> = (0..program.buffers.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(program.buffers[at].bytes));
    let mut begins = vec![0; program.buffers.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut bytes = 0;
    for at in order {
        let Some(life) = lives[at] else { continue };
        let size = program.buffers[at].bytes.max(1).next_multiple_of(LINE);
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&other| {
                lives[other]
                    .is_some_and(|other| other.first <= life.last && life.first <= other.last)
            })
            .map(|&other| {
                (
                    begins[other],
                    program.buffers[other].bytes.max(1).next_multiple_of(LINE),
                )
            })
            .collect();
        taken.sort_unstable();
        let mut begin = 0;
        for (other, length) in taken {
            if begin + size <= other {
                break;
            }
            begin = begin.max(other + length);
        }
        begins[at] = begin;
        bytes = bytes.max(begin + size);
        placed.push(at);
    }
    Places { begins, bytes }
}

/// The life of each tensor; `None` for one that nothing touches. Constants and inputs are there from the beginning, outputs and constants to
/// the end.
fn lives(program: &Program) -> Vec<Option<Life>> {
    let end = program.steps.len();
    let mut lives: Vec<Option<Life>> = vec![None; program.buffers.len()];
    let mut touch = |BufferId(at): BufferId, step: usize| {
        let life = lives[at].get_or_insert(Life {
            first: step,
            last: step,
        });
        life.first = life.first.min(step);
        life.last = life.last.max(step);
    };
    for (at, step) in program.steps.iter().enumerate() {
        step.touches().for_each(|buffer| touch(buffer, at));
    }
    program.inputs.iter().for_each(|port| touch(port.buffer, 0));
    program
        .outputs
        .iter()
        .for_each(|port| touch(port.buffer, end));
    for (at, buffer) in program.buffers.iter().enumerate() {
        if let (Some(_), Some(life)) = (&buffer.constant, &mut lives[at]) {
            *life = Life {
                first: 0,
                last: end,
            };
        }
    }
    lives
}

#[cfg(test)]
mod tests {
    use super::super::program::{Launch, Numbers, Step};
    use super::*;

    fn step(reads: &[usize], writes: &[usize]) -> Step {
        let ids = |of: &[usize]| of.iter().map(|&at| BufferId(at)).collect();
        Step::Launch(Launch {
            kernel: "",
            blocks: 1,
            reads: ids(reads),
            writes: ids(writes),
            numbers: Numbers::default(),
        })
    }

    #[test]
    fn tensors_share_places_but_never_at_the_same_time() {
        let mut program = Program::default();
        for bytes in [1000, 5000, 5000, 5000, 10, 700] {
            program.room(bytes);
        }
        program.buffers[4].constant = Some(vec![0; 10]);
        program.steps = vec![
            step(&[0, 4], &[1]),
            step(&[1], &[2]),
            step(&[2, 0], &[3]),
            step(&[3], &[5]),
        ];
        let places = place(&program);
        let spans: Vec<_> = (0..6)
            .map(|at| places.begins[at]..places.begins[at] + program.buffers[at].bytes)
            .collect();
        let together =
            |a: usize, b: usize| spans[a].start < spans[b].end && spans[b].start < spans[a].end;
        for (a, b) in [
            (0, 1),
            (0, 2),
            (0, 3),
            (1, 2),
            (2, 3),
            (3, 5),
            (4, 0),
            (4, 1),
            (4, 2),
            (4, 3),
            (4, 5),
        ] {
            assert!(!together(a, b), "{a} and {b} lie together: {spans:?}");
        }
        assert!(together(1, 3), "nothing is shared: {spans:?}");
        assert!(places.begins.iter().all(|begin| begin % LINE == 0));
        assert!(places.bytes < 12_800);
    }
}
