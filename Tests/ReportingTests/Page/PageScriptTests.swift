import Testing

@testable import Reporting

@Suite struct PageScriptTests {
  @Test func `modules are joined without their imports and exports`() {
    var script = PageScript()
    script.append(module: "// First.\nexport const one = 1;\nexport class Two {}\n")
    script.append(
      module: """
        import { one } from "./first.js";
        import {
          Two,
        } from "./first.js";

        const text = "export const x";
          export_(text);
        export function three() { return new Two(one); }
        """)
    script.finish()
    #expect(
      script.text == """
        "use strict";
        (() => {
        // First.
        const one = 1;
        class Two {}


        const text = "export const x";
          export_(text);
        function three() { return new Two(one); }
        })();

        """)
  }
}
