import Foundation
import TestSupport
import Testing

/// Small things that a person meets on the first day.
@Suite struct FirstDayTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Runs a program of the system in the folder.
    private func run(_ arguments: [String]) throws -> (status: Int32, complaints: String) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = arguments
        process.currentDirectoryURL = folder.url
        let complaints = folder.file("complaints.txt")
        try Data().write(to: complaints)
        process.standardOutput = FileHandle.nullDevice
        process.standardError = try FileHandle(forWritingTo: complaints)
        try process.run()
        process.waitUntilExit()
        return (process.terminationStatus, try String(contentsOf: complaints, encoding: .utf8))
    }

    @Test func buildingWithoutAPackageOrWithoutLlamaEndsAtOnceWithASentence() throws {
        let script = Self.repository.appending(path: "scripts/swift").path
        let (status, complaints) = try run([script, "build"])
        #expect(status == 1 && complaints.contains("there is no Package.swift in"), "\(complaints)")
        let nowhere = try run([script, "build", "--package-path", "nowhere"])
        #expect(nowhere.status == 1 && nowhere.complaints.contains("there is no folder nowhere"))
        #expect(try run([script]).complaints.contains("say what to do"))
        // What a plain `swift build` compiles first.
        let check = Self.repository.appending(path: "Sources/CBuildCheck/check.c").path
        let plain = try run(["clang", "-fsyntax-only", "-nostdinc", check])
        #expect(plain.status != 0 && plain.complaints.contains("scripts/swift build"), "\(plain.complaints)")
    }

    @Test func optionsAreSuggestedOnlyWhereTheyAreNear() throws {
        func complaints(_ option: String) throws -> String {
            let run = try ProgramRun.run(["generate", "hi", option, "4"])
            #expect(run.status == 64)
            return run.complaints
        }
        #expect(try complaints("--q").contains("Unknown option '--q'; --help lists the options"))
        #expect(try complaints("--bar").contains("Unknown option '--bar'; --help lists the options"))
        #expect(try complaints("--max-token").contains("Did you mean '--max-tokens'?"))
        #expect(try complaints("--methd").contains("Did you mean '--method'?"))
    }

    private func answer(_ arguments: [String], input: String = "") throws -> String {
        let file = folder.file("tiny.gguf")
        if !FileManager.default.fileExists(atPath: file.path) { try ModelWriter.tinyModel(to: file) }
        let run = try ProgramRun.run(
            ["generate", "--model", file.path, "--max-tokens", "4", "--seed", "3"] + arguments, input: Data(input.utf8))
        #expect(run.status == 0, "\(run.complaints)")
        return run.output
    }

    @Test func responsesOfBestOfNHaveTwoSpellings() throws {
        let arguments = ["hi", "--method", "best-of-n", "--reward", "length:3"]
        #expect(try answer(arguments + ["--n", "3"]) == answer(arguments + ["-n", "3"]))
    }

    @Test func aDashIsStandardInput() throws {
        let plain = try answer(["tell me of rain"])
        #expect(try answer(["-"], input: "tell me of rain\n") == plain)
        #expect(try answer([], input: "tell me of rain\n") == plain)
        let empty = try ProgramRun.run(["generate", "-", "--model", folder.file("tiny.gguf").path])
        #expect(empty.status == 64, "\(empty.complaints)")
    }

    @Test func candidatesAreDrawnWithinTheTerminal() throws {
        let file = folder.file("tiny.gguf")
        try ModelWriter.tinyModel(to: file)
        func lines(_ columns: String) throws -> [Substring] {
            let run = try ProgramRun.run(
                ["generate", "tell me of rain", "--model", file.path, "--reward", "length:3", "--show-candidates"]
                    + ["--k", "3", "--horizon", "4", "--max-tokens", "3", "--seed", "3"],
                environment: ["COLUMNS": columns])
            #expect(run.status == 0, "\(run.complaints)")
            return run.complaints.split(separator: "\n").filter { $0.hasPrefix(" ") || $0.hasPrefix("step ") }
        }
        for columns in [20, 40, 60, 80, 121] {
            let drawn = try lines("\(columns)")
            #expect(drawn.count > 9)
            for line in drawn { #expect(line.count <= columns, "\(columns): \(line)") }
            // What is chosen and how probable it is is always there.
            #expect(drawn.contains { $0.contains("▸") && $0.contains(/0\.[0-9]{3}|1\.000/) }, "\(drawn)")
        }
        #expect(try lines("60").contains { $0.contains("Q") && $0.contains("█") })
        #expect(try lines("121").contains { $0.contains("log π") && $0.contains("…") })
        #expect(try lines("").contains { $0.contains("log π") && $0.contains("…") })
    }
}
