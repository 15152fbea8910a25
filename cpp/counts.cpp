// Contingency counts: how many rows fall in each cell of a mixed-radix table.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <stdexcept>

namespace nb = nanobind;

using Codes = nb::ndarray<const int32_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Cards = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Out = nb::ndarray<int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// codes: (k, n), one row per variable, values in [0, cards[k]) or -1 for missing; a row of data with any
// missing value is not counted. out: product of cards, zeroed by the caller; the first variable varies slowest.
static void counts(Codes codes, Cards cards, Out out) {
    const size_t k = codes.shape(0), n = codes.shape(1), cells = out.shape(0);
    if (cards.shape(0) != k) throw std::invalid_argument("cards must have one entry per variable");
    const int32_t *x = codes.data();
    const int64_t *c = cards.data();
    int64_t *o = out.data();
    size_t need = 1;
    for (size_t j = 0; j < k; ++j) need *= static_cast<size_t>(c[j]);
    if (need != cells) throw std::invalid_argument("out must have as many cells as the product of cards");
    bool outside = false;
    {
        nb::gil_scoped_release release;
        for (size_t i = 0; i < n; ++i) {
            int64_t cell = 0;
            bool whole = true;
            for (size_t j = 0; j < k; ++j) {
                const int64_t v = x[j * n + i];
                if (v < 0) { whole = false; break; }
                if (v >= c[j]) { outside = true; whole = false; break; }
                cell = cell * c[j] + v;
            }
            if (whole) ++o[cell];
        }
    }
    if (outside) throw std::invalid_argument("a code is not below its cardinality");
}

void bind_counts(nb::module_ &m) {
    m.def("counts", &counts, nb::arg("codes"), nb::arg("cards"), nb::arg("out"));
}
