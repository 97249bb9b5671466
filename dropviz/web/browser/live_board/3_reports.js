// Reports to the script that a run is in another state than the script knows, so that the buttons follow. A report asks
// Streamlit for the page that it comes from, so one that is sent while somebody leaves that page would bring it back.

const REPORT_AGAIN = 4000; // a report is lost while streamlit's connection is down
const PRESS_TAKES = 10000; // at most, until a press is seen to run the script; some never do

class Reports {
  constructor(board) {
    this.answered();
    this.onPress = (event) => { if (!event.composedPath().includes(board)) this.pressedAt = Date.now(); };
    document.addEventListener("click", this.onPress, true); // the keyboard's presses of buttons and links, too
    addEventListener("popstate", this.onPress);
    this.app = document.querySelector("[data-testid=stApp]"); // none in a report
    this.runs = new MutationObserver(() => { if (this.scriptRuns) this.pressedAt = 0; });
    if (this.app) this.runs.observe(this.app, { attributeFilter: ["data-test-script-state"] });
  }

  get scriptRuns() {
    return ["running", "rerunRequested", "stopRequested"].includes(this.app?.dataset.testScriptState);
  }

  // The script has run: no report is on its way, and no press.
  answered() {
    this.reportedAt = this.pressedAt = 0;
  }

  // Of a state that the script does not know; what cannot be sent now is left to the next poll.
  send(component, state) {
    const now = Date.now();
    if (this.scriptRuns || now - this.pressedAt < PRESS_TAKES || now - this.reportedAt < REPORT_AGAIN) return;
    this.reportedAt = now;
    component.setTriggerValue("changed", state);
  }

  end() {
    document.removeEventListener("click", this.onPress, true);
    removeEventListener("popstate", this.onPress);
    this.runs.disconnect();
  }
}
