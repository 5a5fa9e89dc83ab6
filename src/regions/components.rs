//! Connected components of the places that reach a threshold.

use ndarray::Array2;

/// Places that share sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// Its number in the array of labels, from 1.
    pub label: u32,
    /// How many places.
    pub pixels: usize,
    /// First and last row.
    pub rows: (usize, usize),
    /// First and last column.
    pub columns: (usize, usize),
    /// Sum of its values.
    pub sum: f64,
    /// The largest.
    pub peak: f64,
}

/// The components of the values that are at least `least`, and each place's label, 0 for none.
pub fn of(values: &Array2<f64>, least: f64) -> (Array2<u32>, Vec<Component>) {
    let (rows, columns) = values.dim();
    let mut labels = Array2::zeros((rows, columns));
    let mut components = Vec::new();
    let mut waiting = Vec::new();
    for (start, &value) in values.indexed_iter() {
        if value < least || labels[start] != 0 {
            continue;
        }
        let mut component = Component {
            label: components.len() as u32 + 1,
            pixels: 0,
            rows: (start.0, start.0),
            columns: (start.1, start.1),
            sum: 0.0,
            peak: value,
        };
        labels[start] = component.label;
        waiting.push(start);
        while let Some((row, column)) = waiting.pop() {
            component.take(row, column, values[(row, column)]);
            let beside = [
                (row.wrapping_sub(1), column),
                (row + 1, column),
                (row, column.wrapping_sub(1)),
                (row, column + 1),
            ];
            for at in beside {
                if values.get(at).is_some_and(|&value| value >= least) && labels[at] == 0 {
                    labels[at] = component.label;
                    waiting.push(at);
                }
            }
        }
        components.push(component);
    }
    (labels, components)
}

impl Component {
    fn take(&mut self, row: usize, column: usize, value: f64) {
        self.pixels += 1;
        self.rows = (self.rows.0.min(row), self.rows.1.max(row));
        self.columns = (self.columns.0.min(column), self.columns.1.max(column));
        self.sum += value;
        self.peak = self.peak.max(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn corners_do_not_connect() {
        let values = array![
            [0.9, 0.1, 0.6, 0.7],
            [0.1, 0.8, 0.1, 0.5],
            [0.5, 0.6, 0.1, 0.1]
        ];
        let (labels, components) = of(&values, 0.5);
        assert_eq!(labels, array![[1, 0, 2, 2], [0, 3, 0, 2], [3, 3, 0, 0]]);
        let sizes: Vec<usize> = components
            .iter()
            .map(|component| component.pixels)
            .collect();
        assert_eq!(sizes, [1, 3, 3]);
        assert_eq!(
            (components[2].rows, components[2].columns),
            ((1, 2), (0, 1))
        );
        assert!((components[1].sum - 1.8).abs() < 1e-12 && components[1].peak == 0.7);
    }
}
