import Glibc
import Platform

/// A pipe that no child inherits: its reading and its writing end.
func pipe() throws(Errno) -> (OwnedDescriptor, OwnedDescriptor) {
  var ends: [CInt] = [-1, -1]
  // SAFETY: the array has room for both.
  guard unsafe pipe2(&ends, O_CLOEXEC) == 0 else { throw Errno(rawValue: errno) }
  return (OwnedDescriptor(adopting: ends[0]), OwnedDescriptor(adopting: ends[1]))
}

/// Starts a program that inherits nothing but these descriptors and standard error.
func spawn(
  _ program: String, _ arguments: [String], environment: [String: String], input: CInt, output: CInt
) throws(Errno) -> pid_t {
  // A peer that has ended is no reason for the test to end, when it says something to it.
  signal(SIGPIPE, SIG_IGN)
  let own = environ_strings().filter { entry in !environment.keys.contains { entry.hasPrefix("\($0)=") } }
  let variables = own + environment.map { "\($0)=\($1)" }

  var actions = posix_spawn_file_actions_t()
  var attributes = posix_spawnattr_t()
  var defaults = sigset_t()
  var processID: pid_t = 0
  // SAFETY: the structures outlive the calls; the strings are copied for this call alone and freed after it.
  unsafe posix_spawn_file_actions_init(&actions)
  unsafe posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
  unsafe posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
  unsafe posix_spawnattr_init(&attributes)
  unsafe sigemptyset(&defaults)
  unsafe sigaddset(&defaults, SIGPIPE)
  unsafe posix_spawnattr_setsigdefault(&attributes, &defaults)
  unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
  let argv = unsafe ([program] + arguments).map { unsafe strdup($0) } + [nil]
  let envp = unsafe variables.map { unsafe strdup($0) } + [nil]
  let result = unsafe posix_spawnp(&processID, program, &actions, &attributes, argv, envp)
  for unsafe string in unsafe argv + envp { unsafe free(string) }
  unsafe posix_spawn_file_actions_destroy(&actions)
  unsafe posix_spawnattr_destroy(&attributes)
  guard result == 0 else { throw Errno(rawValue: result) }
  return processID
}

private func environ_strings() -> [String] {
  var strings: [String] = []
  // SAFETY: nobody changes the environment while tests run.
  guard var entry = unsafe environ else { return [] }
  while let string = unsafe entry.pointee {
    strings.append(unsafe String(cString: string))
    unsafe entry += 1
  }
  return strings
}
