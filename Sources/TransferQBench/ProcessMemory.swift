import Foundation
import TransferQConsole

/// Memory of this process that is in RAM, in megabytes of 10⁶ bytes.
struct ProcessMemory: Encodable {
    let resident: Double
    /// The most that it ever was.
    let peak: Double

    /// As it is now.
    ///
    /// - Throws: `UsageError` on a system that does not tell.
    static func now() throws -> ProcessMemory {
        guard let memory = read() else {
            throw UsageError("this system does not tell a process's memory; run it on Linux with /proc, or on macOS")
        }
        return memory
    }

    #if os(Linux)
        private static func read() -> ProcessMemory? {
            guard let status = FileManager.default.contents(atPath: "/proc/self/status") else { return nil }
            let lines = String(decoding: status, as: UTF8.self).split(separator: "\n")
            // "VmRSS:     1234 kB", in units of 1024 bytes.
            func megabytes(_ name: String) -> Double? {
                let line = lines.first { $0.hasPrefix(name + ":") }?.split(whereSeparator: \.isWhitespace)
                guard let line, line.count > 1 else { return nil }
                return Double(line[1]).map { $0 * 1024 / 1e6 }
            }
            guard let resident = megabytes("VmRSS"), let peak = megabytes("VmHWM") else { return nil }
            return ProcessMemory(resident: resident, peak: peak)
        }
    #else
        private static func read() -> ProcessMemory? {
            var usage = rusage()
            var task = proc_taskinfo()
            let size = Int32(MemoryLayout<proc_taskinfo>.size)
            guard getrusage(RUSAGE_SELF, &usage) == 0, proc_pidinfo(getpid(), PROC_PIDTASKINFO, 0, &task, size) == size
            else { return nil }
            return ProcessMemory(resident: Double(task.pti_resident_size) / 1e6, peak: Double(usage.ru_maxrss) / 1e6)
        }
    #endif
}
