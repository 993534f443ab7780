import type { LayoutServerLoad } from "./$types";

export const load: LayoutServerLoad = ({ locals: { user, locale, timeZone } }) => ({
  user,
  preferences: { locale, timeZone },
});
