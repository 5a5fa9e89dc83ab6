//! Einstein summation.
//!
//! The gradient of a sum of products is one again: for `Y = einsum("ij,jk->ik", A, B)`, `dA = einsum("ik,jk->ij", dY, B)`.

use super::Rule;
use super::reduce::spread;
use crate::gradient::GradientError;
use crate::gradient::tape::{Call, Cotangents, Tape, ints, text};

pub(super) const RULES: &[(&str, Rule)] = &[("Einsum", einsum)];

/// The letters of an equation, one an axis; an ellipsis has become letters of its own.
struct Equation {
    operands: Vec<Vec<char>>,
    result: Vec<char>,
}

impl Equation {
    /// Reads the equation of a node whose operands have these ranks.
    fn read(call: &Call<'_>, ranks: &[usize]) -> Result<Equation, GradientError> {
        let unfit = || call.form("an equation that does not fit its operands");
        let written = call.text("equation").unwrap_or_default();
        let written = written.replace(char::is_whitespace, "").replace("...", "*");
        let (left, right) = match written.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (written.as_str(), None),
        };
        let terms: Vec<Vec<char>> = left.split(',').map(|term| term.chars().collect()).collect();
        let letters = |term: &[char]| term.iter().filter(|&&letter| letter != '*').count();
        let fits = |(term, &rank): (&Vec<char>, &usize)| {
            let (named, ellipses) = (letters(term), term.len() - letters(term));
            ellipses <= 1 && (named == rank || ellipses == 1 && named < rank)
        };
        let allowed = |letter: char| letter.is_ascii_alphabetic() || matches!(letter, '*' | ',');
        if terms.len() != ranks.len()
            || !left.chars().chain(right.unwrap_or("").chars()).all(allowed)
            || !terms.iter().zip(ranks).all(fits)
        {
            return Err(unfit());
        }
        let hidden = terms
            .iter()
            .zip(ranks)
            .filter(|(term, _)| term.contains(&'*'))
            .map(|(term, &rank)| rank - letters(term))
            .max()
            .unwrap_or(0);
        let free: Vec<char> = ('a'..='z')
            .chain('A'..='Z')
            .filter(|&letter| !written.contains(letter))
            .take(hidden)
            .collect();
        if free.len() < hidden {
            return Err(unfit());
        }
        // A shorter ellipsis stands for the last axes of the longest.
        let spelled = |term: &[char], hidden: usize| -> Vec<char> {
            let of = |&letter: &char| match letter {
                '*' => free[free.len() - hidden..].to_vec(),
                _ => vec![letter],
            };
            term.iter().flat_map(of).collect()
        };
        let operands: Vec<Vec<char>> = terms
            .iter()
            .zip(ranks)
            .map(|(term, &rank)| spelled(term, (rank - letters(term)).min(hidden)))
            .collect();
        let result = match right {
            Some(right) => spelled(&right.chars().collect::<Vec<_>>(), hidden),
            None => {
                let mut once: Vec<char> = operands.concat();
                once.retain(|letter| left.matches(*letter).count() == 1);
                once.sort_unstable();
                [free.clone(), once].concat()
            }
        };
        for term in operands.iter().chain([&result]) {
            if (1..term.len()).any(|at| term[..at].contains(&term[at])) {
                return Err(call.form("a diagonal"));
            }
        }
        if result
            .iter()
            .any(|letter| !operands.concat().contains(letter))
        {
            return Err(unfit());
        }
        Ok(Equation { operands, result })
    }
}

/// The equation with `dY` in the place of the operand. Along axes that the operand alone has, and that were summed, it is the same.
fn einsum(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let positions = 0..call.node.input.len();
    let names = positions.clone().map(|position| call.input(position));
    let names: Vec<&str> = names.collect::<Result<_, _>>()?;
    let ranks = names.iter().map(|name| Ok(tape.shape(name)?.len()));
    let ranks: Vec<usize> = ranks.collect::<Result<_, GradientError>>()?;
    let Equation { operands, result } = Equation::read(call, &ranks)?;
    let mut results = Vec::new();
    for position in positions.filter(|&position| call.wants(position)) {
        let mut inputs = vec![call.cotangent()?];
        let mut terms = vec![String::from_iter(&result)];
        for (other, letters) in operands.iter().enumerate() {
            if other != position {
                inputs.push(names[other]);
                terms.push(String::from_iter(letters));
            }
        }
        let elsewhere = |letter: &char| terms.iter().any(|term| term.contains(*letter));
        let letters = &operands[position];
        let (kept, summed): (Vec<usize>, Vec<usize>) =
            (0..letters.len()).partition(|&axis| elsewhere(&letters[axis]));
        let kept = kept.iter().map(|&axis| letters[axis]);
        let product = if inputs.len() == 1 {
            let order: Vec<i64> = kept
                .filter_map(|letter| result.iter().position(|&other| other == letter))
                .map(|at| at as i64)
                .collect();
            tape.node("Transpose", &inputs, vec![ints("perm", &order)])
        } else {
            let equation = format!("{}->{}", terms.join(","), String::from_iter(kept));
            tape.node("Einsum", &inputs, vec![text("equation", &equation)])
        };
        let summed: Vec<i64> = summed.into_iter().map(|axis| axis as i64).collect();
        let whole = tape.unsqueeze(&product, &summed);
        results.push((position, spread(tape, &whole, &summed, names[position])?));
    }
    Ok(results)
}
