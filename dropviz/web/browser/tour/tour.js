// A walk around the page for who is here for the first time. It asks once, beside everything else, and remembers the answer.

const TOURS = new WeakMap();
const ANSWERED = "dropviz-tour";

export default function (component) {
  const parent = component.parentElement;
  let tour = TOURS.get(parent);
  if (!tour) {
    tour = new Tour(parent);
    TOURS.set(parent, tour);
  }
  tour.show(component.data);
  return () => setTimeout(() => { if (!parent.isConnected) tour.leave(); }, 0);
}

class Tour {
  constructor(parent) {
    this.root = element("section", "dropviz dv-tour");
    this.root.setAttribute("aria-label", "Tour");
    this.invitation = element("p", "dv-invitation", "First time here? ");
    this.invitation.append(button("Show me around", () => this.start()), button("No, thanks", () => this.dismiss()));
    this.invitation.hidden = remembered();
    this.card = element("div", "dv-stop");
    this.card.setAttribute("role", "dialog");
    this.card.hidden = true;
    this.card.addEventListener("keydown", (event) => this.onKey(event));
    this.root.append(this.invitation, this.card);
    parent.append(this.root);
    this.asked = 0;
  }

  show({ stops, asked }) {
    this.stops = stops;
    if (asked > this.asked) this.start();
    this.asked = asked;
  }

  start() {
    this.before = document.activeElement;
    this.dismiss();
    this.walk(0, 1);
  }

  dismiss() {
    this.invitation.hidden = true;
    try { localStorage.setItem(ANSWERED, "yes"); } catch { /* then it asks again next time */ }
  }

  // To a stop, or past those that are not on this page or this narrow screen.
  walk(place, direction) {
    while (this.stops[place] && !seen(this.stops[place].at)) place += direction;
    if (!this.stops[place]) return direction > 0 ? this.leave() : undefined;
    this.spot?.classList.remove("dv-spot");
    const { at, title, text } = this.stops[place];
    this.place = place;
    this.spot = seen(at);
    this.spot.classList.add("dv-spot");
    this.spot.scrollIntoView({ block: "center", behavior: window.matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    const last = !this.stops.slice(place + 1).some((stop) => seen(stop.at));
    const next = button(last ? "Done" : "Next", () => this.walk(place + 1, 1));
    const buttons = element("div", "dv-buttons");
    const back = button("Back", () => this.walk(place - 1, -1));
    back.disabled = !this.stops.slice(0, place).some((stop) => seen(stop.at));
    buttons.append(back, next, ...(last ? [] : [button("End the tour", () => this.leave())]));
    this.card.replaceChildren(element("h3", "", title), element("p", "", text), buttons);
    this.card.setAttribute("aria-label", title);
    this.card.hidden = false;
    next.focus({ preventScroll: true });
  }

  onKey(event) {
    if (event.key === "Escape") this.leave();
    else if (event.key === "ArrowRight") this.walk(this.place + 1, 1);
    else if (event.key === "ArrowLeft") this.walk(this.place - 1, -1);
    else return;
    event.stopPropagation();
  }

  leave() {
    this.spot?.classList.remove("dv-spot");
    this.card.hidden = true;
    if (this.before?.isConnected) this.before.focus({ preventScroll: true });
  }
}

function button(text, action) {
  const made = element("button", "", text);
  made.type = "button";
  made.addEventListener("click", action);
  return made;
}

function seen(selector) {
  return [...document.querySelectorAll(selector)].find((node) => node.checkVisibility() && node.getBoundingClientRect().right > 0) ?? null;
}

function remembered() {
  try { return localStorage.getItem(ANSWERED) !== null; } catch { return false; }
}
