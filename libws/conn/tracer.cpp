#include "libws/conn/tracer.hpp"

namespace libws {

void Tracer::passed(uint64_t conn_id, bool sent, Bytes bytes) {
  Taps* taps = nullptr;
  try {
    taps = &taps_[conn_id];
  } catch (const std::bad_alloc&) {
    return;
  }
  FrameTap& tap = sent ? taps->sent : taps->received;
  while (!bytes.empty()) {
    PassedFrame frame;
    bool found = false;
    bytes = bytes.subspan(tap.take(bytes, &frame, &found));
    if (!found) continue;
    ws_frame_info told = {};
    told.size = sizeof told;
    told.conn_id = conn_id;
    told.sent = sent ? 1 : 0;
    told.fin = frame.fin ? 1 : 0;
    told.rsv = frame.rsv;
    told.opcode = frame.opcode;
    told.masked = frame.masked ? 1 : 0;
    told.close_code = frame.code;
    told.length = frame.length;
    tell_(user_, &told);
  }
}

}  // namespace libws
