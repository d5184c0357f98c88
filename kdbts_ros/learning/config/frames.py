"""How training frames are drawn: their colours, their streets, and how often each is used."""

from __future__ import annotations

from kdbts_ros.learning.config.section import Field, Section, model_validator


class JitterConfig(Section):
    """How far colours of a training image are bent; 0 leaves them alone."""

    gain: float = Field(default=0.35, ge=0, le=0.9, description="brightness factor, 1 ± this")
    contrast: float = Field(default=0.35, ge=0, le=0.9, description="contrast factor, 1 ± this")
    gamma: float = Field(default=0.35, ge=0, le=0.9, description="exponent, exp(± this)")
    saturation: float = Field(default=0.5, ge=0, le=1, description="colourfulness factor, 1 ± this")
    hue: float = Field(default=0.08, ge=0, le=0.5, description="turn of the colour circle, ± this")
    channel_gain: float = Field(default=0.1, ge=0, le=0.5, description="white balance, 1 ± this")
    noise: float = Field(
        default=0.04, ge=0, le=0.5, description="largest standard deviation of noise"
    )
    blur: float = Field(default=0.3, ge=0, le=1, description="chance of a 3x3 blur")
    shade: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="chance that patches of an image lie in another light, a seventh to twice "
        "as bright: what is dark is then no object for that",
    )
    filter: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="chance that a scene's images go through a random 3x3 colour filter in part",
    )
    grain: float = Field(
        default=0.0,
        ge=0,
        le=2,
        description="largest strength of texture laid over an image, blotches to specks",
    )
    bloom: float = Field(
        default=0.0, ge=0, le=1, description="chance that the highlights of an image bleed"
    )
    vignette: float = Field(
        default=0.0, ge=0, le=1, description="largest share of the light that corners lack"
    )
    jpeg: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="chance that an image was stored as JPEG, of quality 20 to 90",
    )

    @property
    def paints(self) -> bool:
        """Whether images of one scene come to differ in more than noise and blur."""
        return self.shade > 0 or self.grain > 0 or self.bloom > 0


class PoolConfig(Section):
    """Frames are made by background processes and used several times; see `FramePlan`."""

    capacity: int = Field(
        default=4000, ge=4, le=200_000, description="newest frames that a step draws from"
    )
    minimum: int = Field(
        default=200, ge=2, le=200_000, description="frames that the first steps draw from"
    )
    reuse: float = Field(
        default=4.0, ge=1, le=1000, description="how often a frame is used on average"
    )
    workers: int = Field(
        default=1, ge=1, le=64, description="background processes that make frames, per trainer"
    )
    seed: int = Field(
        default=0, ge=0, description="first world; held-out worlds use a range of their own"
    )


class StreetsConfig(Section):
    """Shares of the worlds that are unlike the usual street; the rest are as they always were."""

    narrow: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="lanes of 3 to 4.5 m with walls, hedges, houses and parked cars right beside",
    )
    verge: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="roads without kerbs and pavements between grass verges, bushes and fields",
    )
    junction: float = Field(
        default=0.0, ge=0, le=1, description="the road ends 12 to 35 m ahead, houses across its end"
    )
    near: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="cars, people, walls, posts and bins 2 to 8 m before and beside the camera",
    )

    @model_validator(mode="after")
    def _are_shares(self) -> StreetsConfig:
        if sum(dict(self).values()) > 1 + 1e-9:
            raise ValueError("shares of 'streets' are together at most 1")
        return self


class PlacesConfig(Section):
    """Shares of the worlds that are no streets; streets are what is left over."""

    street: float = Field(default=0.0, ge=0, le=1, description="streets, see `streets`")
    corridor: float = Field(
        default=0.0, ge=0, le=1, description="corridors with doors, glass and niches"
    )
    office: float = Field(
        default=0.0, ge=0, le=1, description="desks along an aisle, shelves, meeting rooms"
    )
    living: float = Field(default=0.0, ge=0, le=1, description="living, dining and bedrooms")
    kitchen: float = Field(
        default=0.0, ge=0, le=1, description="cupboards, worktops, ovens, a table, stools"
    )
    warehouse: float = Field(
        default=0.0, ge=0, le=1, description="aisles between pallet racks, forklifts"
    )
    shop: float = Field(default=0.0, ge=0, le=1, description="aisles between shelves of goods")
    underground: float = Field(default=0.0, ge=0, le=1, description="car parks under a low ceiling")
    parking: float = Field(default=0.0, ge=0, le=1, description="car parks under open sky")
    courtyard: float = Field(default=0.0, ge=0, le=1, description="yards between houses")
    path: float = Field(default=0.0, ge=0, le=1, description="paths of parks and campuses")
    yard: float = Field(default=0.0, ge=0, le=1, description="loading yards of halls")

    @model_validator(mode="after")
    def _are_shares(self) -> PlacesConfig:
        if sum(dict(self).values()) > 1 + 1e-9:
            raise ValueError("shares of 'places' are together at most 1")
        return self
