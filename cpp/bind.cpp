// The extension module: flat arrays in and out; each kernel lives in its own file.
#include <nanobind/nanobind.h>

namespace nb = nanobind;

void bind_counts(nb::module_ &m);
void bind_skeleton_discrete(nb::module_ &m);
void bind_skeleton_gaussian(nb::module_ &m);

NB_MODULE(_native, m) {
    m.doc() = "whence kernels; whence.kernels.numpy_ref is the reference of each";
    bind_counts(m);
    bind_skeleton_discrete(m);
    bind_skeleton_gaussian(m);
}
