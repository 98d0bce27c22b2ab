// Where a tensor's memory is and its ops run.
#pragma once

#include <cstdint>
#include <string>

namespace tenon {

struct Device {
    enum Kind : uint8_t { cpu, cuda } kind = cpu;
    int16_t index = 0;

    friend constexpr bool operator==(const Device&, const Device&) = default;
};

/// "cpu", "cuda", "cuda:1"
inline std::string name_of(Device device) {
    if (device.kind == Device::cpu) return "cpu";
    return device.index == 0 ? "cuda" : "cuda:" + std::to_string(device.index);
}

}  // namespace tenon
