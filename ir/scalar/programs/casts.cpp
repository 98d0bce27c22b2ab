// Casts between the lanes of all dtypes, and those of the 16-bit floats.
#include "ir/scalar/cast.h"
#include "ir/scalar/recorded.h"

namespace tenon::scalar {

namespace {

template <class From, class Convert>
Program record_cast(Convert convert) {
    Recorder recorder;
    const Recorded<From> x{&recorder, recorder.step({.code = Code::parameter, .lane = lane_for<From>})};
    const uint16_t result = convert(x).at;
    return std::move(recorder).finish(1, result);
}

}  // namespace

Program cast_program(DType from, DType to) {
    return visit_arithmetic(lane_of(from), [&]<class From>() {
        if (to == DType::boolean) return record_cast<From>([](auto x) { return truth(x); });
        return visit_arithmetic(lane_of(to),
                                []<class To>() { return record_cast<From>([](auto x) { return Cast<To>::of(x); }); });
    });
}

Program bfloat16_bits() {
    return record_cast<float>([](auto x) { return BFloat16FromFloat::of(x); });
}
Program float_of_bfloat16() {
    return record_cast<int32_t>([](auto x) { return FloatFromBFloat16::of(x); });
}

}  // namespace tenon::scalar
