#include "ir/scalar/exponential.h"
#include "ir/scalar/recorded.h"

namespace tenon::scalar {

TENON_PROGRAMS(exponential)

Program scaled_in_two_program(Lane lane) {
    const auto record = []<class T>() {
        using Integer = Element<Bits<Recorded<T>>>;
        Recorder recorder;
        const Recorded<T> m{&recorder, recorder.step({.code = Code::parameter, .lane = lane_for<T>, .bits = 0})};
        const Recorded<Integer> biased{&recorder,
                                       recorder.step({.code = Code::parameter, .lane = lane_for<Integer>, .bits = 1})};
        const uint16_t result = scaled_in_two(m, biased).at;
        return std::move(recorder).finish(2, result);
    };
    return lane == Lane::f64 ? record.template operator()<double>() : record.template operator()<float>();
}

}  // namespace tenon::scalar
