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

template <class Visit>
Program visit_element(DType dtype, Visit visit) {
    switch (lane_of(dtype)) {
        case Lane::f64: return visit.template operator()<double>();
        case Lane::f32: return visit.template operator()<float>();
        case Lane::i64: return visit.template operator()<int64_t>();
        case Lane::i32: return visit.template operator()<int32_t>();
        case Lane::i16: return visit.template operator()<int16_t>();
        case Lane::i8: return visit.template operator()<int8_t>();
        default: return visit.template operator()<uint8_t>();
    }
}

}  // namespace

Program cast_program(DType from, DType to) {
    return visit_element(from, [&]<class From>() {
        if (to == DType::boolean) return record_cast<From>([](auto x) { return truth(x); });
        return visit_element(to, []<class To>() { return record_cast<From>([](auto x) { return Cast<To>::of(x); }); });
    });
}

Program bfloat16_bits() {
    return record_cast<float>([](auto x) { return BFloat16FromFloat::of(x); });
}
Program float_of_bfloat16() {
    return record_cast<int32_t>([](auto x) { return FloatFromBFloat16::of(x); });
}

}  // namespace tenon::scalar
