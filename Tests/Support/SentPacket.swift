import Glibc
import Platform

/// Sends a packet with any number of descriptors, as no ``PacketSocket`` does.
public func sendPacket(_ bytes: [UInt8], descriptors: [CInt], over socket: CInt) throws {
  // A cmsghdr, then the descriptors, padded to words: see cmsg(3).
  let length = MemoryLayout<cmsghdr>.size + descriptors.count * MemoryLayout<CInt>.size
  var control = [UInt64](repeating: 0, count: (length + 7) / 8)
  var bytes = bytes
  // SAFETY: the buffers outlive the call, and their lengths go with them.
  let sent = unsafe control.withUnsafeMutableBytes { control in
    var header = cmsghdr()
    header.cmsg_len = length
    header.cmsg_level = SOL_SOCKET
    header.cmsg_type = CInt(SCM_RIGHTS)
    unsafe control.storeBytes(of: header, as: cmsghdr.self)
    for (index, descriptor) in descriptors.enumerated() {
      unsafe control.storeBytes(of: descriptor, toByteOffset: MemoryLayout<cmsghdr>.size + 4 * index, as: CInt.self)
    }
    return unsafe bytes.withUnsafeMutableBytes { bytes in
      var part = unsafe iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
      return unsafe withUnsafeMutablePointer(to: &part) { part in
        var message = unsafe msghdr()
        unsafe message.msg_iov = part
        unsafe message.msg_iovlen = 1
        unsafe message.msg_control = control.baseAddress
        unsafe message.msg_controllen = length
        return unsafe sendmsg(socket, &message, CInt(MSG_NOSIGNAL))
      }
    }
  }
  guard sent == bytes.count else { throw Errno(rawValue: errno) }
}
