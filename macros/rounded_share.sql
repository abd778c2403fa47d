{% macro rounded_share(part, whole) -%}
    {#- a quotient is rounded to the places that a decimal has left for it; a remainder
        is exact: add half a unit of 0.0001, and drop what is over whole units -#}
    {%- set units -%}
        (20000 * {{ part }} + if({{ part }} < 0, -abs({{ whole }}), abs({{ whole }})))
    {%- endset -%}
    {%- set unit -%} nullif(2 * {{ whole }}, 0) {%- endset -%}
    (({{ units }} - {{ units }} % {{ unit }}) / {{ unit }} / 10000)
{%- endmacro %}
