#include "runtime/thread_pool.h"

#include <immintrin.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/cpu.h"
#include "runtime/interrupt.h"
#include "runtime/worker_thread.h"

namespace tenon {

namespace {

// About 20 µs: longer than the gap between two kernels of one step, shorter than anybody notices.
constexpr int spins_before_sleep = 2000;

template <class Condition> bool spin_until(Condition condition) {
    for (int i = 0; i < spins_before_sleep; ++i) {
        if (condition()) return true;
        _mm_pause();
    }
    return condition();
}

}  // namespace

// The workers and the one job they may have. `gate_` holds the number of workers inside the job and whether it still
// lets more in: the job lives on its caller's stack, so nobody may enter after the caller has closed the gate, and the
// caller leaves when the last worker has.
class ThreadPool::Crew {
public:
    explicit Crew(int workers) {
        threads_.reserve(static_cast<size_t>(workers));
        try {
            for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
        } catch (const std::exception&) {
            // The system grants no more threads, or no memory for them: those there are, or the caller alone, do the
            // work.
        }
    }
    ~Crew() {
        stopping_.store(true, std::memory_order_release);
        launches_.fetch_add(1, std::memory_order_seq_cst);
        launches_.notify_all();
    }

    void run(int64_t count, FunctionRef<void(int64_t)> tile) {
        stay_out_of_the_way();
        Job job{tile, count, interrupt::is_held()};
        job_ = &job;
        gate_.store(open, std::memory_order_release);
        launches_.fetch_add(1, std::memory_order_seq_cst);
        launches_.notify_all();
        job.claim();
        if (gate_.fetch_and(~open, std::memory_order_acq_rel) != open) {
            auto is_left = [this] { return gate_.load(std::memory_order_acquire) == 0; };
            if (!spin_until(is_left)) {
                for (int inside; (inside = gate_.load(std::memory_order_acquire)) != 0;) gate_.wait(inside);
            }
        }
        if (job.interrupted) {  // told; see claim()
            interrupt::forget();
            throw Interrupted();
        }
        if (job.error) std::rethrow_exception(job.error);
    }

private:
    static constexpr int open = 1 << 30;

    struct Job {
        FunctionRef<void(int64_t)> tile;
        int64_t count;
        bool held;  // the caller takes no interrupt, so nobody takes one for it
        std::atomic<int64_t> next{0};
        std::mutex error_mutex{};
        std::exception_ptr error{};
        int64_t error_tile = std::numeric_limits<int64_t>::max();
        std::atomic<bool> interrupted{false};

        // Tiles are claimed in ascending order: the lowest that throws has been claimed by now.
        void stop() { next.store(count, std::memory_order_relaxed); }
        void fail(int64_t tile_number) {
            stop();
            const std::lock_guard lock(error_mutex);
            if (tile_number < error_tile) {
                error = std::current_exception();
                error_tile = tile_number;
            }
        }
        void claim() {
            std::optional<interrupt::Hold> hold;
            if (held) hold.emplace();
            for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) {
                try {
                    check_interrupt();
                    tile(i);
                } catch (const Interrupted&) {
                    // The others are told too, in the midst of their tiles: the caller would wait for these.
                    interrupted.store(true, std::memory_order_relaxed);
                    interrupt::request();
                    stop();
                } catch (...) { fail(i); }
            }
        }
    };

    void work() {
        set_float_environment();
        int seen = 0;
        for (;;) {
            auto is_launched = [&] { return launches_.load(std::memory_order_acquire) != seen; };
            if (!spin_until(is_launched)) launches_.wait(seen, std::memory_order_acquire);
            seen = launches_.load(std::memory_order_acquire);
            if (stopping_.load(std::memory_order_acquire)) return;
            if (enter()) {
                job_->claim();
                if (gate_.fetch_sub(1, std::memory_order_acq_rel) == 1) gate_.notify_all();
            }
        }
    }

    // The system may wake a worker on the processor that the caller keeps busy, where it waits while another has nothing to
    // do. Asked once where the caller stays, not while it wanders.
    void stay_out_of_the_way() {
        const int processor = sched_getcpu(), before = std::exchange(callers_, processor);
        if (processor < 0 || processor == avoided_ || processor != before) return;
        for (WorkerThread& thread : threads_) thread.keep_off(processor);
        avoided_ = processor;
    }

    bool enter() {
        int inside = gate_.load(std::memory_order_acquire);
        while (inside & open) {
            if (gate_.compare_exchange_weak(inside, inside + 1, std::memory_order_acq_rel)) return true;
        }
        return false;
    }

    Job* job_ = nullptr;
    int callers_ = -1, avoided_ = -1;  // processors: of the last launch, and that no worker uses
    std::atomic<int> gate_{0};
    std::atomic<int> launches_{0};
    std::atomic<bool> stopping_{false};
    std::vector<WorkerThread> threads_;  // the first to go: each is waited for
};

ThreadPool::ThreadPool(int threads) : threads_(threads >= 1 ? threads : std::max(1, cpu_info().cores)) {}

ThreadPool::~ThreadPool() = default;

void ThreadPool::parallel_for(int64_t count, FunctionRef<void(int64_t)> tile) {
    if (count <= 1 || threads_ == 1 || busy_.test_and_set(std::memory_order_acquire)) {
        for (int64_t i = 0; i < count; ++i) {
            check_interrupt();
            tile(i);
        }
        return;
    }
    struct Free {
        std::atomic_flag& flag;
        ~Free() { flag.clear(std::memory_order_release); }
    } free{busy_};
    if (!crew_) crew_ = std::make_unique<Crew>(threads_ - 1);
    ++regions_;
    crew_->run(count, tile);
}

}  // namespace tenon
