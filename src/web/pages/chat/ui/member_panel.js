// Owns whether the lists of members are shown: beside the messages on a wide screen, above them on a narrow one.

const WIDE_SCREEN = matchMedia("(min-width: 64rem)");

// The reader's choice, or null for that of the screen's width.
let wantsMembers = null;

export function startMemberPanel() {
  WIDE_SCREEN.addEventListener("change", () => {
    wantsMembers = null;
    showMemberPanel();
  });
  document.getElementById("panels").addEventListener("click", ({ target }) => {
    if (target.closest(".show-members, .hide-members") !== null) {
      toggleMembers();
    }
  });
  showMemberPanel();
}

export function toggleMembers() {
  wantsMembers = !isMemberPanelShown();
  showMemberPanel();
}

function isMemberPanelShown() {
  return wantsMembers ?? WIDE_SCREEN.matches;
}

// The choice holds for all rooms, so it stands at their parent.
function showMemberPanel() {
  document.getElementById("app").dataset.members = isMemberPanelShown() ? "shown" : "hidden";
  document.querySelectorAll(".show-members").forEach((button) => {
    button.setAttribute("aria-expanded", String(isMemberPanelShown()));
  });
}
