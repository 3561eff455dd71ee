import TestSupport
import Testing
import TransferQ

/// The options of methods are those of the method table.
@Suite struct MethodOptionTests {
    /// A method whose defaults are refused would have no options; a name of two kinds would be read as one of them.
    @Test func everyMethodHasDefaultsAndNamesHaveOneKind() throws {
        var kinds: [String: Parameter.Kind] = [:]
        for type in DecodingMethods.table {
            let parameters = try DecodingMethods.make(type.name).parameters
            #expect(!parameters.isEmpty)
            for parameter in parameters {
                #expect(kinds.updateValue(parameter.kind, forKey: parameter.name) ?? parameter.kind == parameter.kind)
            }
        }
        #expect(kinds["k"] == .integer && kinds["alpha"] == .number && kinds["reward-range"] == .range)
        #expect(kinds["tilt"] == .text && kinds["race"] == .flag)
    }

    @Test func everyParameterIsAnOption() throws {
        let help = try ProgramRun.run(["generate", "--help-hidden"]).output
        for type in DecodingMethods.table {
            for parameter in try DecodingMethods.make(type.name).parameters {
                #expect(help.contains("--\(parameter.name)"), "\(parameter.name)")
            }
        }
    }

    static let mistakes: [(arguments: [String], sentence: String)] = [
        (["--k", "x"], "The value 'x' is invalid for '--k <k>': k must be a whole number of at least 1"),
        (["--k", "2.5"], "The value '2.5' is invalid for '--k <k>'"),
        (["--top-p", "most"], "top-p must be above 0 and at most 1, not most"),
        (["--horizon"], "Missing value for '--horizon <horizon>'"),
        (["--tilt", "--race"], "Missing value for '--tilt <tilt>'"),
        (["--tilt", "both"], "tilt must be one of reference, baseline, not both"),
        (["--alpha", "-3"], "alpha must be a finite number above 0, not -3"),
        (["--reward-range", "-2..x"], "reward-range must be LOW..HIGH"),
        (["--rollout", "3"], "Unknown option '--rollout'. Did you mean '--rollouts'?"),
        (["--gate-entropi", "3"], "Did you mean '--gate-entropy'?"),
        (["--race=1"], "race"),
    ]

    @Test(arguments: mistakes.indices)
    func mistakesGetASentence(index: Int) throws {
        let (arguments, sentence) = Self.mistakes[index]
        let run = try ProgramRun.run(["generate", "Hi.", "--reward", "length:5"] + arguments)
        #expect(run.status == 64 && run.output.isEmpty)
        #expect(run.complaints.contains(sentence), "\(run.complaints)")
    }

    @Test func aMethodIsShownByItsName() throws {
        let run = try ProgramRun.run(["methods", "best-of-n"])
        #expect(run.status == 0)
        #expect(run.output.hasPrefix("best-of-n\n"))
        #expect(
            run.output.contains("    -n (8): responses to sample; a whole number of at least 1 and at most 100000\n"))
        #expect(!run.output.contains("transfer-q") && !run.output.contains("horizon"))
        let unknown = try ProgramRun.run(["methods", "beam"])
        #expect(unknown.status == 64 && unknown.complaints.contains("there is no method 'beam'"))
    }
}
