// What is tried in the browser.
import { access } from "./scene_access.mjs";
import { accounts } from "./scene_accounts.mjs";
import { attacks } from "./scene_attacks.mjs";
import { certification } from "./scene_certification.mjs";
import { desk } from "./scene_desk.mjs";
import { keyboard } from "./scene_keyboard.mjs";
import { screens } from "./scene_screens.mjs";
import { speed } from "./scene_speed.mjs";
import { trial } from "./scene_trial.mjs";

export const scenes = { trial, certification, accounts, desk, keyboard, attacks, access, speed, screens };
