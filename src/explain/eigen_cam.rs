//! Eigen-CAM and Eigen-Grad-CAM: the strongest pattern of a layer, whatever it stands for.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use ndarray::{Array2, Array3};

use super::{How, Joined, Method, OfLayer, Sign, Target};

/// Muhammad and Yeasin 2020: the activations `[HW, K]`, each channel's mean taken off, projected on their first right singular vector. It does not
/// depend on the class. A singular vector has no sign; here it is the one with which the projection goes up where the sum of the channels goes up.
pub struct EigenCam;

/// As [`EigenCam`], of activations times gradients (pytorch-grad-cam).
pub struct EigenGradCam;

impl Method for EigenCam {
    fn id(&self) -> &'static str {
        "eigen-cam"
    }

    fn name(&self) -> &'static str {
        "Eigen-CAM"
    }

    fn about(&self) -> &'static str {
        "The first principal component of the activations: what the layer sees most, the same for every class \
         (Muhammad and Yeasin 2020)."
    }

    fn target(&self) -> Target {
        Target::Logit
    }

    fn how(&self) -> How {
        How::Layer(EIGEN_CAM)
    }

    fn sign(&self) -> Sign {
        Sign::Blind
    }
}

impl Method for EigenGradCam {
    fn id(&self) -> &'static str {
        "eigen-grad-cam"
    }

    fn name(&self) -> &'static str {
        "Eigen-Grad-CAM"
    }

    fn about(&self) -> &'static str {
        "The first principal component of activation times gradient: less noise than the sum of all channels, and of this class \
         (pytorch-grad-cam)."
    }

    fn target(&self) -> Target {
        Target::Logit
    }

    fn how(&self) -> How {
        How::Layer(OfLayer {
            parts: |activations, gradients| &activations * &gradients,
            joined: Joined::Component,
        })
    }
}

/// Its map.
const EIGEN_CAM: OfLayer = OfLayer {
    parts: |activations, _| activations.to_owned(),
    joined: Joined::Component,
};

/// What is left of channels that are the same everywhere: the rounding of f32, as a share of them.
const FLAT: f64 = 1e-6;

/// The places' coordinates `[H, W]` along the first principal axis of `[K, H, W]`.
pub(super) fn first_component(values: &Array3<f64>) -> Array2<f32> {
    let (channels, height, width) = values.dim();
    let places = height * width;
    if channels == 0 || places == 0 {
        return Array2::zeros((height, width));
    }
    // A column a channel; ndarray's order of a channel is the one that nalgebra fills a column in.
    let mut matrix = DMatrix::from_iterator(places, channels, values.iter().copied());
    let size = matrix.norm();
    for mut channel in matrix.column_iter_mut() {
        let mean = channel.mean();
        channel.add_scalar_mut(-mean);
    }
    if matrix.norm() <= FLAT * size {
        return Array2::zeros((height, width));
    }
    // Of the two Gram matrices the smaller one: both have the squared singular values.
    let projection: DVector<f64> = if places <= channels {
        let (value, vector) = strongest(&matrix * matrix.transpose());
        vector * value.max(0.0).sqrt()
    } else {
        let (_, vector) = strongest(matrix.transpose() * &matrix);
        &matrix * vector
    };
    let along = projection.dot(&matrix.column_sum());
    let sign = if along < 0.0 { -1.0 } else { 1.0 };
    Array2::from_shape_fn((height, width), |(row, column)| {
        (sign * projection[row * width + column]) as f32
    })
}

/// The largest eigenvalue of a symmetric matrix and its vector.
fn strongest(gram: DMatrix<f64>) -> (f64, DVector<f64>) {
    let eigen = SymmetricEigen::new(gram);
    let (at, value) = eigen.eigenvalues.argmax();
    (value, eigen.eigenvectors.column(at).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_pattern_with_the_sign_of_the_channels() {
        // Two channels follow 0 1 2 3, one weakly 1 0 1 0.
        let pattern = [0.0f32, 1.0, 2.0, 3.0];
        let noise = [0.1f32, 0.0, 0.1, 0.0];
        let values = Array3::from_shape_fn((3, 2, 2), |(k, y, x)| match k {
            2 => noise[y * 2 + x],
            _ => pattern[y * 2 + x],
        });
        let map = EIGEN_CAM.map(values.view(), values.view());
        assert!(map[[1, 1]] > map[[1, 0]] && map[[1, 0]] > 0.0 && map[[0, 0]] == 0.0);
        // More channels than places, and turned around.
        let wide = Array3::from_shape_fn((6, 2, 2), |(k, y, x)| -values[[k % 3, y, x]]);
        let turned = EIGEN_CAM.map(wide.view(), wide.view());
        assert!(turned[[0, 0]] > turned[[0, 1]] && turned[[1, 1]] == 0.0);
        let flat = Array3::from_elem((3, 2, 2), 1.0);
        assert!(
            EIGEN_CAM
                .map(flat.view(), flat.view())
                .iter()
                .all(|value| *value == 0.0)
        );
    }
}
