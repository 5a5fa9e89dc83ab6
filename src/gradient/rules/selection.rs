//! Going back through a selection along one axis: `Slice`, `Pad`, `Gather` and nearest `Resize` take elements of an axis to
//! new places, and each place's cotangent goes back to the element it came from.

use crate::gradient::GradientError;
use crate::gradient::tape::{Call, Tape, int, ints};

/// An axis of more elements than this is not written out element by element.
pub(super) const LONGEST_AXIS: i64 = 1 << 20;

/// What an operator took of one axis.
pub(super) struct Selection {
    /// The axis, the same before and after.
    pub axis: usize,
    /// Its size before.
    pub size: usize,
    /// For each place after, the element that stands there; `None` for a constant.
    pub sources: Vec<Option<usize>>,
}

impl Selection {
    /// Brings a cotangent of rank `rank` back to the size that the axis had: elements taken several times add up, elements never
    /// taken get zero.
    pub fn put_back(
        &self,
        tape: &mut Tape<'_>,
        call: &Call<'_>,
        cotangent: &str,
        rank: usize,
    ) -> Result<String, GradientError> {
        if let Some((place, run)) = self.run() {
            let mut dx = cotangent.to_owned();
            if run.len() < self.sources.len() {
                let (start, end) = (place as i64, (place + run.len()) as i64);
                dx = tape.slice(&dx, &[start], &[end], &[self.axis as i64]);
            }
            if run.len() < self.size {
                let (before, after) = (run.start as i64, (self.size - run.end) as i64);
                dx = tape.pad_axis(&dx, rank, self.axis, before, after);
            }
            return Ok(dx);
        }
        let mut places = vec![Vec::new(); self.size];
        for (place, source) in self.sources.iter().enumerate() {
            if let Some(source) = source {
                match places.get_mut(*source) {
                    Some(list) => list.push(place),
                    None => return Err(call.form("an index outside its axis")),
                }
            }
        }
        let most = places.iter().map(Vec::len).max().unwrap_or(0);
        let table = most.saturating_mul(self.size);
        if most == 0 {
            return Err(call.form("an empty selection"));
        }
        if table > 8 * (self.size + self.sources.len()) {
            return self.by_product(tape, call, cotangent, rank);
        }
        Ok(self.by_gather(tape, cotangent, rank, &places, most))
    }

    /// Where the places without a constant are one ascending run of elements: its first place, and the elements.
    fn run(&self) -> Option<(usize, std::ops::Range<usize>)> {
        let place = self.sources.iter().position(Option::is_some)?;
        let first = self.sources[place]?;
        let taken = self.sources[place..].iter().map_while(|source| *source);
        let length = taken
            .enumerate()
            .take_while(|(step, source)| first + step == *source)
            .count();
        let rest = &self.sources[place + length..];
        let within = first + length <= self.size;
        (within && rest.iter().all(Option::is_none)).then_some((place, first..first + length))
    }

    /// How often each element stands in a row, where all stand in their order and equally often.
    pub fn copies(&self) -> Option<i64> {
        let copies = self.sources.len().checked_div(self.size)?;
        let mut places = self.sources.iter().enumerate();
        let whole = copies > 0 && copies * self.size == self.sources.len();
        (whole && places.all(|(place, source)| *source == Some(place / copies)))
            .then_some(copies as i64)
    }

    /// Every element gathers the cotangents of its places, and one zero behind them where it has fewer than the `most`.
    fn by_gather(
        &self,
        tape: &mut Tape<'_>,
        cotangent: &str,
        rank: usize,
        places: &[Vec<usize>],
        most: usize,
    ) -> String {
        let zero = self.sources.len();
        let full = places.iter().all(|list| list.len() == most);
        let with_zero = match full {
            true => cotangent.to_owned(),
            false => tape.pad_axis(cotangent, rank, self.axis, 0, 1),
        };
        let table: Vec<i64> = places
            .iter()
            .flat_map(|list| (0..most).map(|turn| list.get(turn).copied().unwrap_or(zero) as i64))
            .collect();
        let axis = int("axis", self.axis as i64);
        if most == 1 {
            let table = tape.ints(&table);
            return tape.node("Gather", &[&with_zero, &table], vec![axis]);
        }
        let table = tape.int_tensor(&[self.size as i64, most as i64], &table);
        let gathered = tape.node("Gather", &[&with_zero, &table], vec![axis]);
        let summed = tape.ints(&[self.axis as i64 + 1]);
        tape.node("ReduceSum", &[&gathered, &summed], vec![int("keepdims", 0)])
    }

    /// A few elements stand at most of the places: a product with the matrix of zeros and ones.
    fn by_product(
        &self,
        tape: &mut Tape<'_>,
        call: &Call<'_>,
        cotangent: &str,
        rank: usize,
    ) -> Result<String, GradientError> {
        let columns = self.sources.len();
        let mut matrix = Matrix::zeros(self.size, columns)
            .ok_or_else(|| call.form(&format!("an axis of {} to {columns} elements", self.size)))?;
        for (place, source) in self.sources.iter().enumerate() {
            if let Some(source) = source {
                matrix.values[source * columns + place] = 1.0;
            }
        }
        Ok(matrix.along(tape, cotangent, rank, self.axis))
    }
}

/// A constant matrix that is applied along one axis of a tensor.
pub(super) struct Matrix {
    rows: usize,
    columns: usize,
    /// Row after row.
    pub values: Vec<f32>,
}

impl Matrix {
    /// A matrix of zeros; `None` where it would be large.
    pub fn zeros(rows: usize, columns: usize) -> Option<Matrix> {
        const LARGEST: usize = 1 << 22;
        let size = rows.checked_mul(columns).filter(|&size| size <= LARGEST)?;
        Some(Matrix {
            rows,
            columns,
            values: vec![0.0; size],
        })
    }

    /// Whether the matrix changes nothing.
    pub fn is_identity(&self) -> bool {
        let one = |at: usize| (at / self.columns == at % self.columns) as u8 as f32;
        let mut values = self.values.iter().enumerate();
        self.rows == self.columns && values.all(|(at, &value)| value == one(at))
    }

    /// The tensor whose vectors along `axis` are the matrix times those of `tensor`.
    pub fn along(&self, tape: &mut Tape<'_>, tensor: &str, rank: usize, axis: usize) -> String {
        let shape = [self.rows as i64, self.columns as i64];
        if rank >= 2 && axis == rank - 2 {
            let matrix = tape.floats(&shape, &self.values);
            return tape.op("MatMul", &[&matrix, tensor]);
        }
        let turned: Vec<f32> = (0..self.columns)
            .flat_map(|column| (0..self.rows).map(move |row| (row, column)))
            .map(|(row, column)| self.values[row * self.columns + column])
            .collect();
        let matrix = tape.floats(&[shape[1], shape[0]], &turned);
        if axis == rank - 1 {
            return tape.op("MatMul", &[tensor, &matrix]);
        }
        let mut order: Vec<i64> = (0..rank as i64).collect();
        order.swap(axis, rank - 1);
        let exchanged = tape.node("Transpose", &[tensor], vec![ints("perm", &order)]);
        let product = tape.op("MatMul", &[&exchanged, &matrix]);
        tape.node("Transpose", &[&product], vec![ints("perm", &order)])
    }
}
