// Payloads as they travel compressed (RFC 7692 7.2.1), in blocks with room for a frame header in
// front.
#pragma once

#include "libws/base/bytes.hpp"
#include "libws/protocol/block.hpp"
#include "libws/protocol/deflater.hpp"

namespace libws {

// Whether compressing is most likely a waste: a sample of the bytes is spread as evenly as those of
// compressed or encrypted data are.  It sees frequencies only, not repetitions.
bool looks_random(Bytes data);

// `in`, which is not empty, compressed and flushed; the tail of the flush is the last
// kFlushTailBytes. Null: it would take more than `most` bytes without the tail, or there is no
// memory.  Then the deflater has to be restarted.
Block* deflate_block(BlockPool& pool, Deflater& deflater, Bytes in, size_t most);

// The same as stored blocks (RFC 1951 3.2.4), which is all that can be done for random data.  They
// end on a byte boundary without a tail; `last` adds the octet that the end of a message needs.
Block* stored_block(BlockPool& pool, Bytes in, bool last);

}  // namespace libws
