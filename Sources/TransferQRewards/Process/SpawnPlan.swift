import Foundation

/// What `posix_spawn` is told.
struct SpawnPlan {
    #if canImport(Darwin)
        private var actions: posix_spawn_file_actions_t?
        private var attributes: posix_spawnattr_t?
        private static let closesOthers = POSIX_SPAWN_CLOEXEC_DEFAULT
    #else
        private var actions = posix_spawn_file_actions_t()
        private var attributes = posix_spawnattr_t()
        // Descriptors are opened with close-on-exec here.
        private static let closesOthers: Int32 = 0
    #endif
    /// The child's ends of pipes.
    private var ends: [Int32] = []

    init() throws {
        try Self.check(posix_spawn_file_actions_init(&actions))
        try Self.check(posix_spawnattr_init(&attributes))
        // What this process ignores or blocks is no affair of its children.
        var signals = sigset_t()
        sigemptyset(&signals)
        try Self.check(posix_spawnattr_setsigmask(&attributes, &signals))
        for signal in [SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGQUIT] { sigaddset(&signals, signal) }
        try Self.check(posix_spawnattr_setsigdefault(&attributes, &signals))
        try Self.check(posix_spawnattr_setpgroup(&attributes, 0))
        let flags =
            Int32(POSIX_SPAWN_SETPGROUP) | Int32(POSIX_SPAWN_SETSIGDEF) | Int32(POSIX_SPAWN_SETSIGMASK)
            | Int32(Self.closesOthers)
        try Self.check(posix_spawnattr_setflags(&attributes, Int16(flags)))
    }

    /// Connects a standard stream of the child.
    ///
    /// - Returns: this process's end of a pipe.
    mutating func connect(_ number: Int32, with stream: ChildProcess.Stream) throws -> FileHandle? {
        switch stream {
        case .inherited:
            #if canImport(Darwin)
                try Self.check(posix_spawn_file_actions_addinherit_np(&actions, number))
            #endif
        case .null:
            let mode = number == STDIN_FILENO ? O_RDONLY : O_WRONLY
            try Self.check(posix_spawn_file_actions_addopen(&actions, number, "/dev/null", mode, 0))
        case .file(let file):
            try Self.check(posix_spawn_file_actions_adddup2(&actions, file.fileDescriptor, number))
        case .pipe:
            let (reading, writing) = try Self.pipe()
            let isInput = number == STDIN_FILENO
            ends.append(isInput ? reading : writing)
            try Self.check(posix_spawn_file_actions_adddup2(&actions, isInput ? reading : writing, number))
            return FileHandle(fileDescriptor: isInput ? writing : reading, closeOnDealloc: true)
        }
        return nil
    }

    /// - Parameter arguments: the path of the executable first.
    /// - Throws: ``ChildProcess/StartFailure``.
    mutating func spawn(_ arguments: [String], _ environment: [String]) throws -> pid_t {
        let lists = [arguments, environment].map { list in list.map { strdup($0) } + [nil] }
        defer { for text in lists.joined() { free(text) } }
        var id: pid_t = 0
        try Self.check(posix_spawn(&id, arguments[0], &actions, &attributes, lists[0], lists[1]))
        return id
    }

    mutating func close() {
        for end in ends { _ = Foundation.close(end) }
        posix_spawn_file_actions_destroy(&actions)
        posix_spawnattr_destroy(&attributes)
    }

    /// A pipe that other children do not inherit, which would keep it open. To be called while nothing else is started.
    private static func pipe() throws -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [0, 0]
        guard Foundation.pipe(&ends) == 0 else { throw ChildProcess.StartFailure(code: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func check(_ code: Int32) throws {
        guard code == 0 else { throw ChildProcess.StartFailure(code: code) }
    }
}
