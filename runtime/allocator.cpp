#include "runtime/allocator.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <fstream>
#include <new>
#include <string>
#include <utility>

#include "runtime/diagnostic.h"
#include "runtime/memory_pool.h"
#include "runtime/tensor.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace tenon {

namespace {

constexpr size_t mapped_from = size_t{1} << 20;  // larger blocks are mapped, smaller ones are the C library's
constexpr size_t huge_pages_from = size_t{8} << 20;
constexpr size_t checked_from = size_t{64} << 20;  // larger requests are compared with what the machine has left
constexpr size_t kept_freely = size_t{256} << 20;  // beyond it, sizes that never come back are let go
constexpr size_t largest = size_t{1} << 62;

struct SizeClass {
    size_t index, capacity;
};

// 64, 128, 192, 256, then four steps a doubling: at most a fifth of a block is unused.
SizeClass size_class(size_t bytes) {
    if (bytes <= 256) {
        size_t steps = std::max<size_t>((bytes + 63) / 64, 1);
        return {steps - 1, steps * 64};
    }
    size_t doubling = std::bit_width(bytes - 1);  // 2^(doubling − 1) < bytes <= 2^doubling
    size_t step = size_t{1} << (doubling - 3);
    size_t steps = (bytes + step - 1) / step;  // 5 to 8
    return {4 + (doubling - 9) * 4 + (steps - 5), steps * step};
}

size_t class_capacity(size_t index) {
    if (index < 4) return (index + 1) * 64;
    return (5 + index % 4) << ((index - 4) / 4 + 6);
}

void return_to_system(std::byte* data, size_t capacity) {
    if (capacity >= mapped_from) {
        munmap(data, capacity);
    } else {
        std::free(data);
    }
}

std::string human(size_t bytes) {
    if (bytes < (size_t{1} << 20)) return fmt::format("{} bytes", bytes);
    double mebibytes = static_cast<double>(bytes) / (1 << 20);
    return mebibytes < 1024 ? fmt::format("{:.1f} MiB", mebibytes) : fmt::format("{:.1f} GiB", mebibytes / 1024);
}

// What the machine has, or what the container lets us use of it.
size_t machine_limit() {
    auto pages = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)), page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    size_t limit = pages * page;
    for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
        size_t contained = 0;
        if (std::ifstream file(path); file >> contained && contained > 0) limit = std::min(limit, contained);
    }
    return limit;
}

// The kernel's own estimate of what can be had without swapping.
size_t machine_available() {
    std::ifstream file("/proc/meminfo");
    std::string key;
    size_t kibibytes = 0;
    while (file >> key >> kibibytes) {
        if (key == "MemAvailable:") return kibibytes << 10;
        file.ignore(64, '\n');
    }
    return largest;
}

}  // namespace

bool system_has_room(size_t bytes) {
    void* const room = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) return false;
    munmap(room, bytes);
    return true;
}

MemoryPool::~MemoryPool() { trim_locked(); }

Ref<Storage> MemoryPool::allocate(size_t bytes) {
    std::lock_guard lock(mutex_);
    if (bytes > largest) {
        throw_error("memory", fmt::format("a tensor of {} is more than any machine has", human(bytes)),
                    "check the sizes of its shape");
    }
    size_t capacity = size_class(bytes).capacity;
    std::byte* data = kept_block(capacity);
    if (data) {
        ++statistics_.reused;
    } else {
        data = fresh_block(bytes, capacity);
    }
    ASAN_POISON_MEMORY_REGION(data, capacity);
    ASAN_UNPOISON_MEMORY_REGION(data, bytes);
    ++statistics_.allocations;
    statistics_.current += bytes;
    statistics_.peak = std::max(statistics_.peak, statistics_.current);
    return Ref<Storage>(new Storage(data, bytes, capacity, device_, Ref<MemoryPool>(this)));
}

// A small block must fit its class; a large one may take any of the next three, up to twice the size, since a second
// large block costs more than the idle part of the first.
std::byte* MemoryPool::kept_block(size_t& capacity) {
    size_t first = size_class(capacity).index;
    size_t last = capacity >= mapped_from ? std::min(first + 3, class_count - 1) : first;
    for (size_t index = first; index <= last; ++index) {
        if (kept_[index].empty()) continue;
        std::byte* data = kept_[index].back();
        kept_[index].pop_back();
        capacity = class_capacity(index);
        return data;
    }
    return nullptr;
}

std::byte* MemoryPool::fresh_block(size_t bytes, size_t capacity) {
    if (device_.kind != Device::cpu) {
        throw_error("value", fmt::format("there is no memory to be had on {}", name_of(device_)), "use the device cpu");
    }
    size_t kept = statistics_.reserved - statistics_.current;
    if (capacity >= mapped_from && kept > std::max(statistics_.current, kept_freely)) trim_locked();
    if (!has_room(capacity)) {
        trim_locked();
        if (!has_room(capacity)) {
            throw_error("memory",
                        fmt::format("there is no memory for {} more: tensors hold {}, and the limit is {}",
                                    human(bytes), human(statistics_.current), human(limit_)),
                        "use smaller shapes or batches, or let go of tensors that are no longer needed");
        }
    }
    void* data = nullptr;
    if (capacity >= mapped_from) {
        data = mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (data == MAP_FAILED) data = nullptr;
        if (data && capacity >= huge_pages_from) madvise(data, capacity, MADV_HUGEPAGE);
    } else {
        data = std::aligned_alloc(Allocator::alignment, capacity);
    }
    if (!data) {
        throw_error("memory", fmt::format("the system has no memory for {} more", human(bytes)),
                    "use smaller shapes or batches, or let go of tensors that are no longer needed");
    }
    statistics_.reserved += capacity;
    return static_cast<std::byte*>(data);
}

// Memory that was promised but never touched is not missing in the kernel's estimate, hence both comparisons.
bool MemoryPool::has_room(size_t capacity) {
    if (limit_ == 0 && statistics_.reserved + capacity < checked_from) return true;
    if (limit_ == 0) limit_ = machine_limit();
    if (capacity > limit_ || statistics_.reserved > limit_ - capacity) return false;
    return capacity < checked_from || capacity <= machine_available();
}

void MemoryPool::take_back(std::byte* data, size_t bytes, size_t capacity) noexcept {
    std::lock_guard lock(mutex_);
    statistics_.current -= bytes;
    ASAN_POISON_MEMORY_REGION(data, capacity);
    try {
        kept_[size_class(capacity).index].push_back(data);
    } catch (const std::bad_alloc&) {  // no memory for the list itself: do without
        ASAN_UNPOISON_MEMORY_REGION(data, capacity);
        return_to_system(data, capacity);
        statistics_.reserved -= capacity;
    }
}

MemoryStatistics MemoryPool::statistics() const {
    std::lock_guard lock(mutex_);
    return statistics_;
}

void MemoryPool::reset_peak() {
    std::lock_guard lock(mutex_);
    statistics_.peak = statistics_.current;
}

size_t MemoryPool::trim() {
    std::lock_guard lock(mutex_);
    return trim_locked();
}

size_t MemoryPool::trim_locked() {
    size_t returned = 0;
    for (size_t index = 0; index < class_count; ++index) {
        size_t capacity = class_capacity(index);
        for (std::byte* data : kept_[index]) {
            ASAN_UNPOISON_MEMORY_REGION(data, capacity);
            return_to_system(data, capacity);
            returned += capacity;
        }
        kept_[index].clear();
    }
    statistics_.reserved -= returned;
    return returned;
}

Allocator::Allocator(Device device, size_t limit) : pool_(make_ref<MemoryPool>(device, limit)) {}
Allocator::Allocator(Ref<MemoryPool> pool) : pool_(std::move(pool)) {}
Allocator::Allocator(const Allocator&) = default;
Allocator::Allocator(Allocator&&) noexcept = default;
Allocator& Allocator::operator=(Allocator other) noexcept {
    pool_ = std::move(other.pool_);
    return *this;
}
Allocator::~Allocator() = default;

Ref<Storage> Allocator::allocate(size_t bytes) const { return pool_->allocate(bytes); }
MemoryStatistics Allocator::statistics() const { return pool_->statistics(); }
void Allocator::reset_peak() const { pool_->reset_peak(); }
size_t Allocator::trim() const { return pool_->trim(); }

Storage::Storage(std::byte* data, size_t bytes, Device device, std::function<void()> deleter)
    : data(data), bytes(bytes), device(device), deleter_(std::move(deleter)) {}

Storage::Storage(std::byte* data, size_t bytes, size_t capacity, Device device, Ref<MemoryPool> pool)
    : data(data), bytes(bytes), device(device), capacity_(capacity), pool_(std::move(pool)) {}

Storage::~Storage() {
    if (pool_) pool_->take_back(data, bytes, capacity_);
    if (deleter_) deleter_();
}

void Storage::begin_write() {
    while (!readers_.empty()) {
        StorageReader* const reader = readers_.back();
        readers_.pop_back();
        reader->before_write(*this);
    }
}

std::optional<Allocator> Storage::allocator() const {
    if (!pool_) return std::nullopt;
    return Allocator(pool_);
}

}  // namespace tenon
