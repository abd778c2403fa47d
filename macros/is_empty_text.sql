{% macro is_empty_text(text) -%}
    {%- set literals = ["''"] -%}
    {%- set lengths = [0] -%}
    {%- for word in var('empty_words') -%}
        {%- do literals.append(text_literal(word | lower)) -%}
        {%- do lengths.append(word | length) -%}
    {%- endfor -%}
    (
        {{ text }} is null
        or (
            char_length(trim({{ text }})) <= {{ lengths | max }}
            and lower(trim({{ text }})) in ({{ literals | join(', ') }})
        )
    )
{%- endmacro %}
