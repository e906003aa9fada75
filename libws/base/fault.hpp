// Fault injection for test builds (LIBWS_TESTING): what the system table does when a test asks
// for trouble.  LIBWS_FAULT in the environment sets the same from outside, so that any test can
// be run under it, e.g. LIBWS_FAULT=eagain:50,short:30,eintr:10 (per cent of calls).
#pragma once

#ifdef LIBWS_TESTING

#include <cstddef>
#include <cstdint>

namespace libws {

struct Faults {
  uint32_t eagain = 0;         // per cent of reads and writes that say EAGAIN first
  uint32_t short_io = 0;       // per cent of reads and writes cut to a few bytes
  uint32_t eintr = 0;          // per cent of reads, writes and accepts interrupted
  uint64_t fail_alloc = 0;     // the n-th allocation from now fails; 0: none
  bool fail_alloc_on = false;  // and all after it too
};

// Installs the faulty table over the real one; the counters start again.
void set_faults(const Faults& faults);
// Back to the real table.
void clear_faults();

// Since the last set_faults() or clear_faults().
uint64_t allocations_seen();
// Blocks handed out by the allocator table and not yet given back, over the whole run.
int64_t live_allocations();

}  // namespace libws

#endif  // LIBWS_TESTING
