// The chi-square distribution.
#pragma once

#include <algorithm>
#include <cmath>

// The upper tail of the chi-square distribution: the regularised incomplete gamma function Q(df / 2, x / 2), by
// its series below the mean and by the continued fraction above (Abramowitz and Stegun 6.5.29, 6.5.31).
inline double chi_square_tail(double df, double x) {
    const double a = df / 2, h = x / 2;
    if (h <= 0) return 1.0;
    int sign = 0;
    const double front = std::exp(a * std::log(h) - h - lgamma_r(a, &sign));
    if (h < a + 1) {
        double term = 1 / a, sum = term;
        for (double k = a + 1; term > sum * 1e-17; k += 1) sum += term *= h / k;
        return std::max(0.0, 1 - front * sum);
    }
    if (front == 0) return 0.0;
    double b = h + 1 - a, c = 1e300, d = 1 / b, value = d;
    for (int k = 1; k < 100000; ++k) {
        const double step = -k * (k - a);
        b += 2;
        d = step * d + b, c = b + step / c;
        if (std::fabs(d) < 1e-300) d = 1e-300;
        if (std::fabs(c) < 1e-300) c = 1e-300;
        d = 1 / d;
        value *= d * c;
        if (std::fabs(d * c - 1) < 1e-16) break;
    }
    return front * value;
}
