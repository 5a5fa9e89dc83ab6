//! The gradient rules, one file a family of operators, one function an operator.
//!
//! A rule gets the node and the cotangents of its outputs, writes backward nodes to the tape and returns the
//! cotangents of the inputs that are wanted. It may use forward tensors by name: inputs and outputs of the node are
//! there when the backward pass runs. Where it can choose, it uses an *output*: the forward pass then keeps one tensor,
//! and an engine can fuse the operator with the one before it.

mod activation;
mod conv;
mod conv_transpose;
mod einsum;
mod elementwise;
mod functions;
mod index;
mod join;
mod linear;
mod magnitude;
mod mask;
mod norm;
mod pool;
mod reduce;
mod resize;
mod selection;
mod shape;
mod slice;
mod smooth;
mod softmax;

use super::tape::{Call, Cotangents, Tape};

/// A gradient rule.
pub type Rule = fn(&mut Tape<'_>, &Call<'_>) -> Cotangents;

/// Every family's rules.
const FAMILIES: &[&[(&str, Rule)]] = &[
    activation::RULES,
    conv::RULES,
    conv_transpose::RULES,
    einsum::RULES,
    elementwise::RULES,
    functions::RULES,
    index::RULES,
    join::RULES,
    linear::RULES,
    magnitude::RULES,
    norm::RULES,
    pool::RULES,
    reduce::RULES,
    resize::RULES,
    shape::RULES,
    slice::RULES,
    smooth::RULES,
    softmax::RULES,
];

/// The rule of an operator.
pub fn find(operator: &str) -> Option<Rule> {
    names_and_rules()
        .find(|(name, _)| *name == operator)
        .map(|(_, rule)| rule)
}

/// Every operator with a rule, in alphabetical order.
pub fn operators() -> Vec<&'static str> {
    let mut names: Vec<&str> = names_and_rules().map(|(name, _)| name).collect();
    names.sort_unstable();
    names
}

fn names_and_rules() -> impl Iterator<Item = (&'static str, Rule)> {
    FAMILIES.iter().flat_map(|family| family.iter().copied())
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_operator_has_two_rules() {
        let names = super::operators();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }
}
