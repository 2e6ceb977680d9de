import Glibc

// libFuzzer's loop around one target, which the program's name says: Tools/fuzz makes a link for each.

@_silgen_name("LLVMFuzzerRunDriver")
func runDriver(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

let name = CommandLine.arguments.first?.split(separator: "/").last.map(String.init) ?? ""
guard let target = fuzzTargets[name] else {
  print("call this program by a target's name: \(fuzzTargets.keys.sorted().joined(separator: ", "))")
  exit(2)
}
let body = target

var count = CommandLine.argc
var arguments = unsafe CommandLine.unsafeArgv
// SAFETY: the driver reads the process's own arguments; the input it gives lives through each call.
exit(
  unsafe runDriver(&count, &arguments) { start, count in
    unsafe body(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: start, count: count)))
    return 0
  })
