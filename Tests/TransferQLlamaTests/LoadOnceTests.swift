import Foundation
import Synchronization
import TestSupport
import Testing
import TransferQ
import TransferQLlama

/// What takes long is done once, and off everybody's way.
@Suite struct LoadOnceTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Counts what is made, and makes it when told.
    private final class Workshop: Sendable {
        private let state = Mutex((begun: 0, cancelled: 0))
        private let gate = DispatchSemaphore(value: 0)

        var begun: Int { state.withLock { $0.begun } }
        var cancelled: Int { state.withLock { $0.cancelled } }

        func make() async throws -> Int {
            let number = state.withLock { state in
                state.begun += 1
                return state.begun
            }
            do { while gate.wait(timeout: .now()) == .timedOut { try await Task.sleep(for: .milliseconds(1)) } } catch {
                state.withLock { $0.cancelled += 1 }
                throw error
            }
            return number
        }

        func open() { gate.signal() }
    }

    private struct Failure: Error {}

    @Test func theOneAskedForLongestAgoGoes() async throws {
        let values = LoadOnce<Int>(limit: 2)
        let made = Mutex<[String]>([])
        func ask(_ key: String) async throws {
            _ = try await values.value(key) {
                made.withLock {
                    $0.append(key)
                    return $0.count
                }
            }
        }
        for key in ["a", "b", "a", "c", "a", "b"] { try await ask(key) }
        #expect(made.withLock { $0 } == ["a", "b", "c", "b"])
        #expect(await values.count == 2)
    }

    @Test(.timeLimit(.minutes(1))) func manyAskAndOneIsMade() async throws {
        let (values, workshop) = (LoadOnce<Int>(), Workshop())
        let requests = (0..<20).map { _ in Task { try await values.value("a") { try await workshop.make() } } }
        while workshop.begun == 0 { await Task.yield() }
        // Who is cancelled stops waiting at once; the others go on.
        requests[0].cancel()
        await #expect(throws: CancellationError.self) { try await requests[0].value }
        workshop.open()
        for request in requests.dropFirst() { #expect(try await request.value == 1) }
        let known = try await values.value("a") { 7 }
        #expect(known == 1)
        #expect(workshop.begun == 1 && workshop.cancelled == 0)
        // Another key is another value; a failure is tried again.
        await #expect(throws: Failure.self) { try await values.value("b") { throw Failure() } }
        let second = try await values.value("b") { 7 }
        #expect(second == 7)
    }

    @Test(.timeLimit(.minutes(1))) func whatNobodyWaitsForIsStopped() async throws {
        let (values, workshop) = (LoadOnce<Int>(), Workshop())
        let requests = (0..<3).map { _ in Task { try await values.value("a") { try await workshop.make() } } }
        while workshop.begun == 0 { await Task.yield() }
        for request in requests { request.cancel() }
        for request in requests { await #expect(throws: CancellationError.self) { try await request.value } }
        while workshop.cancelled == 0 { await Task.yield() }
        let next = try await values.value("a") { 5 }
        #expect(next == 5)
    }

    @Test func filesAreLoadedOnce() async throws {
        let (file, adapter) = (folder.file("tiny.gguf"), folder.file("adapter.gguf"))
        try ModelWriter.tinyModel(to: file)
        try ModelWriter.adapter(to: adapter, width: ModelWriter.width, outputWidth: ModelWriter.width, scale: 1)
        let store = ModelStore(root: folder.url)
        // A probe that takes a moment, as the real one does.
        let probe = ModelProbe(executable: URL(filePath: "/usr/bin/env"), arguments: ["true"], store: store)
        let cache = ModelCache(store: store, probe: probe)
        let models = try await withThrowingTaskGroup(of: LlamaModel.self) { group in
            for _ in 0..<8 { group.addTask { try await cache.load(file.path) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(models.allSatisfy { $0 === models[0] })
        let adapters = try await withThrowingTaskGroup(of: LlamaAdapter.self) { group in
            for _ in 0..<8 { group.addTask { try await cache.load(adapter: adapter.path, for: models[0]) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(adapters.allSatisfy { $0 === adapters[0] })
        // A file that was written anew is another model.
        try FileManager.default.removeItem(at: file)
        try ModelWriter.tinyModel(to: file, seed: 2)
        #expect(try await cache.load(file.path) !== models[0])
    }

    @Test func adaptersGoWithTheirLastUser() async throws {
        let (file, adapter) = (folder.file("tiny.gguf"), folder.file("adapter.gguf"))
        try ModelWriter.tinyModel(to: file)
        try ModelWriter.adapter(to: adapter, width: ModelWriter.width, outputWidth: ModelWriter.width, scale: 1)
        let model = try await LlamaModel(path: file.path)
        weak var gone: LlamaAdapter?
        for _ in 0..<3 {
            let loaded = try await LlamaAdapter(path: adapter.path, model: model)
            gone = loaded
            let context = try await LlamaContext(
                model: model, adapter: loaded, configuration: .init(cells: 64, sequences: 2, threads: 1))
            let policy = try await LlamaPolicy(context: context, prompt: [1, 5])
            #expect(try await policy.propose(after: [], count: 2).count == 2)
        }
        // Tasks that the context began may hold it a moment longer.
        for _ in 0..<1000 where gone != nil { try await Task.sleep(for: .milliseconds(2)) }
        #expect(gone == nil)
    }

    @Test func blockingWorkHoldsNobodyUp() async throws {
        let file = folder.file("tiny.gguf")
        try ModelWriter.tinyModel(to: file)
        let model = try await LlamaModel(path: file.path)
        let context = try await LlamaContext(model: model, configuration: .init(cells: 64, sequences: 2, threads: 1))
        let gate = DispatchSemaphore(value: 0)
        // More than the cooperative pool has threads.
        let count = 4 * ProcessInfo.processInfo.activeProcessorCount
        let blocked = (0..<count).map { number in
            Task {
                try await BlockingWork.run { _ in
                    gate.wait()
                    return number
                }
            }
        }
        let policy = try await LlamaPolicy(context: context, prompt: [1, 5])
        #expect(try await policy.propose(after: [], count: 2).count == 2)
        for _ in blocked { gate.signal() }
        for (number, task) in blocked.enumerated() { #expect(try await task.value == number) }
    }

    @Test func readingContextsGoWithTheirLanes() async throws {
        let file = folder.file("tiny.gguf")
        try ModelWriter.tinyModel(to: file)
        let reader = TextReader(model: try await LlamaModel(path: file.path), threads: 1)
        var spent = 0
        for _ in 0..<5 {
            try await InferenceLane.$current.withValue(InferenceLane(threads: 1)) {
                _ = try await reader.states(of: [[5, 6, 7]], prompt: [1, 5])
                #expect((1...2).contains(await reader.contextCount))
            }
            // What was read is still counted.
            let now = await reader.decodedTokens
            #expect(now > spent)
            spent = now
        }
        // Tasks that the lane began may hold it a moment longer.
        for _ in 0..<1000 where await reader.contextCount > 0 { try await Task.sleep(for: .milliseconds(2)) }
        #expect(await reader.contextCount == 0)
    }
}
