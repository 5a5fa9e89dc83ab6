//! The tile as tract asks for it: a product, and what tract has done to its sums before they are stored.

use tract_onnx::tract_core::tract_linalg::mmm::{
    DynKernel, FusedKerSpec, FusedSpec, OutputStoreKer,
};
use tract_onnx::tract_core::tract_linalg::pack::Packing;

use super::lanes::{Four, Lanes};
use super::tile::add_product;

/// Rows of the tile.
const ROWS: usize = 4;
/// Columns of the tile.
const COLUMNS: usize = 8;
const LANES: usize = Four::COUNT;
/// Vectors in a row.
const VECTORS: usize = COLUMNS / LANES;

/// The sums of a tile.
type Sums = [[Four; VECTORS]; ROWS];

/// Its name among tract's kernels.
pub(super) const NAME: &str = "gradlens_f32_4x8";

/// The tile as tract registers kernels.
#[must_use]
pub fn matrix_tile() -> DynKernel<ROWS, COLUMNS, f32> {
    let packings = (f32::packing(ROWS), f32::packing(COLUMNS));
    DynKernel::new(NAME, run, packings.0, packings.1).with_can_fuse(can_fuse)
}

/// What this tile can do on the way: all but the steps of quantised products.
fn can_fuse(spec: &FusedSpec) -> bool {
    !matches!(
        spec,
        FusedSpec::QScale(..) | FusedSpec::RoundingShiftRight(..) | FusedSpec::ShiftLeft(_)
    )
}

/// Does `steps` up to the first [`FusedKerSpec::Done`]; 1 where one of them is none of its own, which tract makes an error of.
///
/// # Safety
/// The pointers in `steps` must be good for what [`FusedKerSpec`] says of them, for a tile of [`ROWS`] by [`COLUMNS`].
unsafe fn run(steps: &[FusedKerSpec<f32>]) -> isize {
    use FusedKerSpec as Step;
    let mut sums = [[Four::splat(0.0); VECTORS]; ROWS];
    for step in steps {
        // Safety: handed down from the caller, step by step.
        unsafe {
            match *step {
                Step::Done => break,
                Step::Clear => sums = [[Four::splat(0.0); VECTORS]; ROWS],
                Step::LoadTile(_, rows) => each(&mut sums, |row, column, _| {
                    Four::load(rows.add(row * COLUMNS + column))
                }),
                Step::ScalarMin(value) => scalar(&mut sums, value, |a, sum| sum.min(a)),
                Step::ScalarMax(value) => scalar(&mut sums, value, |a, sum| sum.max(a)),
                Step::ScalarAdd(value) => scalar(&mut sums, value, Four::add),
                Step::ScalarMul(value) => scalar(&mut sums, value, Four::mul),
                Step::ScalarSub(value) => scalar(&mut sums, value, Four::sub),
                Step::ScalarSubF(value) => scalar(&mut sums, value, |a, sum| sum.sub(a)),
                Step::LeakyRelu(slope) => {
                    scalar(&mut sums, slope, |a, sum| sum.positive_or(a.mul(sum)))
                }
                Step::PerRowMin(rows) => per_row(&mut sums, rows, |a, sum| sum.min(a)),
                Step::PerRowMax(rows) => per_row(&mut sums, rows, |a, sum| sum.max(a)),
                Step::PerRowAdd(rows) => per_row(&mut sums, rows, Four::add),
                Step::PerRowMul(rows) => per_row(&mut sums, rows, Four::mul),
                Step::PerRowSub(rows) => per_row(&mut sums, rows, Four::sub),
                Step::PerRowSubF(rows) => per_row(&mut sums, rows, |a, sum| sum.sub(a)),
                Step::PerColMin(columns) => per_column(&mut sums, columns, |a, sum| sum.min(a)),
                Step::PerColMax(columns) => per_column(&mut sums, columns, |a, sum| sum.max(a)),
                Step::PerColAdd(columns) => per_column(&mut sums, columns, Four::add),
                Step::PerColMul(columns) => per_column(&mut sums, columns, Four::mul),
                Step::PerColSub(columns) => per_column(&mut sums, columns, Four::sub),
                Step::PerColSubF(columns) => per_column(&mut sums, columns, |a, sum| sum.sub(a)),
                Step::AddRowColProducts(rows, columns) => each(&mut sums, |row, column, sum| {
                    let product =
                        Four::load_splat(rows.add(row)).mul(Four::load(columns.add(column)));
                    sum.add(product)
                }),
                Step::AddUnicast(other) if other.item_size == size_of::<f32>() => {
                    each(&mut sums, |row, column, sum| {
                        sum.add(read(&other, row, column))
                    });
                }
                Step::Store(to) if to.item_size == size_of::<f32>() => store(&sums, &to),
                Step::AddMatMul { k, pa, pb, .. } => {
                    sums = add_product::<_, ROWS, VECTORS, ROWS>(sums, k, pa.cast(), pb.cast());
                }
                Step::QScale(..)
                | Step::RoundingShiftRight(..)
                | Step::ShiftLeft(_)
                | Step::AddUnicast(_)
                | Step::Store(_) => return 1,
            }
        }
    }
    0
}

/// Replaces each vector by what `make` makes of its row, its first column and itself.
#[inline(always)]
fn each(sums: &mut Sums, make: impl Fn(usize, usize, Four) -> Four) {
    for (row, sums) in sums.iter_mut().enumerate() {
        for (vector, sum) in sums.iter_mut().enumerate() {
            *sum = make(row, vector * LANES, *sum);
        }
    }
}

#[inline(always)]
fn scalar(sums: &mut Sums, value: f32, combine: impl Fn(Four, Four) -> Four) {
    let value = Four::splat(value);
    each(sums, |_, _, sum| combine(value, sum));
}

/// # Safety
/// [`ROWS`] floats must be readable at `rows`.
#[inline(always)]
unsafe fn per_row(sums: &mut Sums, rows: *const f32, combine: impl Fn(Four, Four) -> Four) {
    each(sums, |row, _, sum| {
        // Safety: `row` is below `ROWS`.
        combine(unsafe { Four::load_splat(rows.add(row)) }, sum)
    });
}

/// # Safety
/// [`COLUMNS`] floats must be readable at `columns`.
#[inline(always)]
unsafe fn per_column(sums: &mut Sums, columns: *const f32, combine: impl Fn(Four, Four) -> Four) {
    each(sums, |_, column, sum| {
        // Safety: `column` is that of a vector's first float.
        combine(unsafe { Four::load(columns.add(column)) }, sum)
    });
}

/// Where a float of a tile lies in memory.
///
/// # Safety
/// It must lie in the memory that `tile` describes.
#[inline(always)]
unsafe fn place(tile: &OutputStoreKer, row: usize, column: usize) -> *mut f32 {
    let offset = row as isize * tile.row_byte_stride + column as isize * tile.col_byte_stride;
    unsafe { tile.ptr.offset(offset).cast() }
}

/// # Safety
/// Four floats from `column` of `row` must be readable in `tile`.
#[inline(always)]
unsafe fn read(tile: &OutputStoreKer, row: usize, column: usize) -> Four {
    unsafe {
        if tile.col_byte_stride == size_of::<f32>() as isize {
            return Four::load(place(tile, row, column));
        }
        let values: [f32; LANES] =
            std::array::from_fn(|lane| place(tile, row, column + lane).read_unaligned());
        Four::load(values.as_ptr())
    }
}

/// Writes the sums to where they belong: vectors where columns are neighbours, floats elsewhere.
///
/// # Safety
/// `to` must describe memory for a whole tile.
#[inline(always)]
unsafe fn store(sums: &Sums, to: &OutputStoreKer) {
    // Safety: all rows and columns are the tile's.
    unsafe {
        if to.col_byte_stride == size_of::<f32>() as isize {
            for (row, sums) in sums.iter().enumerate() {
                let start = place(to, row, 0);
                for (vector, sum) in sums.iter().enumerate() {
                    sum.store(start.add(vector * LANES));
                }
            }
            return;
        }
        for (row, sums) in sums.iter().enumerate() {
            for (vector, sum) in sums.iter().enumerate() {
                for (lane, value) in sum.to_array().into_iter().enumerate() {
                    place(to, row, vector * LANES + lane).write_unaligned(value);
                }
            }
        }
    }
}
