with

source as (

    select * from {{ source('retail', 'store') }}

),

stg_retail__stores as (

    select
        id as store_id,
        {{ trimmed('address') }} as address,
        {{ trimmed('store_pincode') }} as pincode,
        {{ trimmed('store_manager_name') }} as manager_name,
        store_opening_date as opening_date,
        {{ trimmed('reviews') }} as reviews

    from source

)

select * from stg_retail__stores
