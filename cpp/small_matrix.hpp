// Covariance matrices of a few nodes, and their Cholesky factors.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

using Matrix = std::vector<double>;

constexpr double COLLINEAR = 1e-10;  // a share of variance below this is rounding error

// A symmetric matrix over some nodes, and the rows it rests on.
struct Spread {
    std::vector<int32_t> nodes;
    Matrix at;
    int64_t n = 0;
    double operator()(size_t i, size_t j) const { return at[i * nodes.size() + j]; }
    double &operator()(size_t i, size_t j) { return at[i * nodes.size() + j]; }
};

inline double dot(const double *a, const double *b, size_t n) {
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) s0 += a[i] * b[i], s1 += a[i + 1] * b[i + 1], s2 += a[i + 2] * b[i + 2], s3 += a[i + 3] * b[i + 3];
    for (; i < n; ++i) s0 += a[i] * b[i];
    return (s0 + s1) + (s2 + s3);
}

// Lower Cholesky factor of the first `size` rows and columns; false when a variable is determined by earlier ones.
inline bool factor(const Spread &m, size_t size, Matrix &low) {
    low.assign(size * size, 0.0);
    for (size_t i = 0; i < size; ++i) {
        for (size_t j = 0; j <= i; ++j) {
            double v = m(i, j);
            for (size_t t = 0; t < j; ++t) v -= low[i * size + t] * low[j * size + t];
            if (i == j) {
                if (!(v >= COLLINEAR * m(i, i)) || !(m(i, i) > 0)) return false;
                low[i * size + i] = std::sqrt(v);
            } else {
                low[i * size + j] = v / low[j * size + j];
            }
        }
    }
    return true;
}

inline void forward(const Matrix &low, size_t size, double *v) {
    for (size_t i = 0; i < size; ++i) {
        for (size_t t = 0; t < i; ++t) v[i] -= low[i * size + t] * v[t];
        v[i] /= low[i * size + i];
    }
}

inline void backward(const Matrix &low, size_t size, double *v) {
    for (size_t i = size; i-- > 0;) {
        for (size_t t = i + 1; t < size; ++t) v[i] -= low[t * size + i] * v[t];
        v[i] /= low[i * size + i];
    }
}
