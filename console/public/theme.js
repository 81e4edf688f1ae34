// Before anything is painted: the colours the person chose, or those of the system.
(function () {
  var kept = null;
  try {
    kept = localStorage.getItem("zhaoguan.theme");
  } catch (e) {
    kept = null;
  }
  var isDark = kept ? kept === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.classList.toggle("dark", isDark);
})();
