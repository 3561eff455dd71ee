import TestSupport
import Testing

/// Wrong options of `transferq-bench` get a sentence and an exit code.
@Suite struct BenchInputTests {
    static let cases: [(arguments: [String], status: Int32, sentence: String)] = [
        (["engine", "--k", "0"], 64, "--k must be between 1 and 200"),
        (["engine", "--threads", "9223372036854775807"], 64, "--threads must be between 1 and 1024"),
        (["loop", "--reward", "length:5"], 64, "rewards of the form head:FILE only, not length:5"),
        (["loop", "--loop-tokens=-1"], 64, "--loop-tokens must be at least 0, not -1"),
        (["batch", "--parallel", "1"], 64, "--parallel must be between 2 and 32, not 1"),
        (["batch", "--rounds", "0"], 64, "--rounds must be between 1 and 100, not 0"),
        (["speedups", "--limit", "0"], 64, "--limit must be at least 1, not 0"),
        (["speedups", "--max-tokens", "0"], 64, "--max-tokens must be at least 1, not 0"),
        (["speedups", "--alpha", "-1"], 64, "alpha must be a finite number above 0, not -1"),
        (["speedups", "--reward", "joy:3"], 64, "the reward 'joy:3' cannot be read"),
        (["cost", "--ks", "5"], 64, "give two or more whole numbers in rising order"),
        (["cost", "--horizons", "5,x"], 64, "give two or more whole numbers in rising order"),
        (["cost", "--answer-lengths", "1,2"], 64, "--answer-lengths must go up to 3 at least"),
        (["cost", "--prompt-lengths", "2,9"], 64, "--prompt-lengths 2 is less than the question's own"),
        (["cost", "--prompt-lengths", "50,9000"], 64, "the model's context holds 8192"),
        (["cost", "--rounds", "0"], 64, "--rounds must be between 1 and 1000, not 0"),
        (["cost", "--without", "x"], 64, "without"),
        (["memory", "--answers", "3"], 64, "--answers must be between 4 and 1000000, not 3"),
        (["gpu", "--parameters", "7"], 64, "give a number between 1M and 200B"),
        (["gpu", "--parameters", "many"], 64, "give a number between 1M and 200B"),
        (["gpu", "--ks", "1,x"], 64, "give whole numbers between 1 and 200"),
        (["gpu", "--seconds", "0"], 64, "--seconds must be between 1 and 86400, not 0.0"),
        (["gpu", "--gpu-layers", "-1"], 64, "gpu-layers"),
        (["gpu", "--horizon", "1"], 64, "--horizon must be between 2 and 256, not 1"),
    ]

    @Test(arguments: cases.indices)
    func wrongUseGetsASentence(index: Int) throws {
        let (arguments, status, sentence) = Self.cases[index]
        let run = try ProgramRun.run(arguments, of: .bench)
        #expect(!run.wasSignalled)
        #expect(run.status == status, "\(arguments): \(run.complaints)")
        #expect(run.complaints.contains(sentence), "\(arguments): \(run.complaints)")
        #expect(run.output.isEmpty)
    }
}
